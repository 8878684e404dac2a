from ugro.trial.data.documents import Document


def test_repeated_documents_have_one_identity_wherever_they_stand() -> None:
    one, again = (Document(place, {"prompt": "p", "completion": "c"}) for place in ("a:1", "b:7"))
    assert one.identity == again.identity
    moved = Document("a:1", {"completion": "p", "prompt": "c"})
    other = [moved, Document("a:1", {"prompt": "pc", "completion": ""})]
    assert len({one.identity, *(document.identity for document in other)}) == 3


def test_the_order_of_a_records_keys_does_not_matter() -> None:
    one = Document("a:1", {"prompt": "p", "completion": "c"})
    assert one.identity == Document("a:2", {"completion": "c", "prompt": "p"}).identity


def test_its_length_is_the_characters_of_its_texts_without_roles_and_keys() -> None:
    messages = [{"role": "user", "content": "Größe?"}, {"role": "assistant", "content": "12"}]
    assert Document("a:1", {"messages": messages}).length == 6 + 2
    assert Document("a:1", {"prompt": "2+2=", "completion": "4"}).length == 5
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert Document("a:1", {"messages": parts}).length == 2


def test_near_duplicates_differ_in_punctuation_white_space_and_case_alone() -> None:
    one = Document("a:1", {"text": "It is, after all, Done."})
    assert (
        one.normalised_digest
        == Document("a:2", {"text": "it is - after all:\n done"}).normalised_digest
    )
    assert (
        one.normalised_digest
        != Document("a:2", {"text": "it is after all undone"}).normalised_digest
    )


def test_what_has_neither_letters_nor_digits_is_near_nothing_but_itself() -> None:
    shrug, smile = (Document("a:1", {"text": text}) for text in ("¯\\_(-)_/¯", ":-)"))
    assert shrug.normalised_digest != smile.normalised_digest


def test_a_sum_is_no_near_duplicate_of_another_with_the_same_digits() -> None:
    sums = [("1+12=", "13"), ("11+2=", "13")]
    one, other = (Document("a:1", {"prompt": p, "completion": c}) for p, c in sums)
    assert one.normalised_digest != other.normalised_digest


def test_keys_without_a_value_do_not_matter_unless_they_are_arguments() -> None:
    def told(**message: object) -> bytes:
        return Document("a:1", {"messages": [{"role": "assistant", **message}]}).identity

    def call(**arguments: object) -> dict[str, object]:
        return {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}

    assert told(content="c", tool_calls=None) == told(content="c")
    assert told(content=None, **call(a=1)) == told(**call(a=1))
    assert told(**call(a=1, b=None)) != told(**call(a=1))


def test_place_format_and_further_columns_are_no_part_of_what_a_document_is() -> None:
    one = Document("a:1", {"text": "t"}, record={"text": "t", "id": 1}, format="text")
    other = Document("b:9", {"text": "t"}, record={"body": "t"}, format="other")
    for of in ("identity", "length", "normalised_digest"):
        assert getattr(one, of) == getattr(other, of)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.errors import UserError
from ugro.study.importing.renamed_keys import check_renaming, renamed

NAMES = st.text("ab.", min_size=1, max_size=3)


@given(st.dictionaries(NAMES, st.integers()), st.dictionaries(NAMES, NAMES, max_size=3))
def test_a_renaming_that_is_allowed_loses_no_value_and_any_other_is_refused(
    values: dict[str, int], keys: dict[str, str]
) -> None:
    new = [keys.get(name, name) for name in values]
    is_allowed = set(keys) <= set(values) and len(set(new)) == len(new)
    if not is_allowed:
        with pytest.raises(UserError, match=r"^keys: "):
            check_renaming(values, keys)
        return
    check_renaming(values, keys)
    assert list(renamed(values, keys).items()) == list(zip(new, values.values(), strict=True))
    back = {new: old for old, new in keys.items()}
    assert renamed(renamed(values, keys), back) == values


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(UserError) as error:
        check_renaming(["lr", "r"], {"rate": "training.learning_rate"})
    assert str(error.value) == "keys: 'rate' given, allowed: a parameter: lr, r"
    with pytest.raises(UserError) as error:
        check_renaming(["lora.r", "r"], {"r": "lora.r"})
    allowed = "a key that one parameter has; lora.r and r would have it"
    assert str(error.value) == f"keys: 'lora.r' given, allowed: {allowed}"

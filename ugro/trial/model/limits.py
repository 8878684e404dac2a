"""Limits of a base model: its positions, its vocabulary, and the need of an end token."""

from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ugro.errors import UserError, fault


def check_fits(config: PreTrainedConfig, block_size: int) -> None:
    """Refuse rows longer than the model's maximum number of positions.

    Beyond it, learned positions raise an index error and rotary positions are untrained.

    Raises:
        UserError: ``data.block_size`` is too large.
    """
    most = positions(config)
    if most is not None and block_size > most:
        allowed = f"{most} at most, the positions of the model"
        raise UserError(fault("data.block_size", block_size, allowed))


def positions(config: PreTrainedConfig) -> int | None:
    """Return the model's maximum number of positions; None if unlimited."""
    text = config.get_text_config()
    written = [getattr(text, name, None) for name in ("max_position_embeddings", "max_seq_len")]
    limits = [int(limit) for limit in written if isinstance(limit, int) and limit > 0]
    if not limits:
        return None
    rope = getattr(text, "rope_parameters", None) or {}
    scaled = [entry for entry in (rope, *rope.values()) if isinstance(entry, dict)]
    stretched = [
        int(entry["original_max_position_embeddings"] * entry["factor"])
        for entry in scaled  # some models have an entry per kind of layer
        if entry.get("original_max_position_embeddings") and entry.get("factor")
    ]
    return max(limits + stretched)


def check_vocabulary(
    model: PreTrainedModel, largest_token_id: int, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Refuse data with a token that has no row in the model's embedding.

    The tokenizer's vocabulary may exceed the embedding as long as no such token occurs.

    Raises:
        UserError: a token has no row.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if largest_token_id >= rows:
        token = tokenizer.convert_ids_to_tokens(largest_token_id)
        allowed = (
            f"a model whose embedding has a row for it: id {largest_token_id}, {rows} rows; "
            "create it with resize_token_embeddings and save_pretrained"
        )
        raise UserError(fault("model.path", f"the token {token}", allowed))


def check_end_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without end token: the model would never learn to stop.

    Raises:
        UserError: the tokenizer has no EOS token.
    """
    if tokenizer.eos_token_id is None:
        allowed = "one with an EOS token: set eos_token in its tokenizer_config.json"
        raise UserError(fault("model.path", "a tokenizer without an EOS token", allowed))

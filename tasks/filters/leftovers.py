"""Answers in which the machinery shows that made them: a template's marks, blanks that nobody filled in, the model itself."""

import polars as pl

_CODE = r"(?ms)^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\z)|`[^`\n]*`"
_MARKS = (
    r"<\|?/?(?:im_start|im_end|im_sep|begin_of_text|end_of_text|endoftext|eot_id|start_header_id|end_header_id|eom_id|assistant|user|system|end)\|>",
    r"<extra_id_\d+>",
    r"</?s>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>",
    r"\[/?INST\]|<</?SYS>>",
    r"(?m)^#{2,3} ?(?:Response|Instruction|Input|Human|Assistant):",
    r"(?m)^(?:Human|USER|ASSISTANT|Assistant|User): ?\S",
)
_BLANKS = (
    r"(?i)\[(?:your|my|(?:the )?recipient'?s?|company|insert|enter|add|name of|date|city|address|phone|e-?mail|job title|position)\b[^\]\n]{0,40}\]",
    r"(?i)<(?:your|insert|enter|add)[ _-][^<>\n]{1,40}>",
    r"\{\{ ?[a-z_][a-z0-9_. ]{0,40}\}\}",
    r"(?i)\b(?:lorem ipsum dolor|xx/xx/xxxx|todo: (?:add|fill|write))",
)
_SELF = (
    r"as an? (?:ai|artificial intelligence|(?:large )?language model|chatbot|virtual assistant)\b",
    r"i(?:['’]m| am) (?:just |only |merely )?an? (?:ai|(?:large )?language model|artificial intelligence|chatbot)\b",
    r"(?:trained|developed|created|made) by (?:openai|anthropic|google|meta|nvidia|deepmind|mistral)",
    r"my (?:knowledge|training)(?: data)? (?:cut-?off|ends|stops|only goes)",
    r"as of my (?:last|latest|most recent) (?:update|training|knowledge)",
)


def turn_marks(batch: pl.DataFrame) -> pl.Expr:
    """Outside of code the answer has a chat template's control tokens, or goes on to write another's turn (`Human: …`)."""
    return _outside_code().str.contains("|".join(f"(?:{one})" for one in _MARKS))


def unfilled_placeholder(batch: pl.DataFrame) -> pl.Expr:
    """Outside of code the answer has a blank to be filled in: `[Your name]`, `<insert date>`, `{{city}}`."""
    return _outside_code().str.contains("|".join(f"(?:{one})" for one in _BLANKS))


def speaks_as_model(batch: pl.DataFrame) -> pl.Expr:
    """The answer says of itself that it is by a language model, who made that, or up to when it knows things."""
    return pl.col("answer").str.contains(rf"(?i)\b(?:{'|'.join(_SELF)})")


def _outside_code() -> pl.Expr:
    return pl.col("answer").str.replace_all(_CODE, " ")

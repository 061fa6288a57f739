"""The recipe: one YAML file that says what to make. Unknown keys are errors; it never holds an address or a secret.

What a technique, filter or judge takes is declared by its own module (`Options`, or a filter's keyword parameters); here such an entry is
its name and its raw options, which tasks/catalogue.py checks against the module before any work.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.engine import Sampling
from schemas.errors import RecipeError
from schemas.licences import Use
from schemas.records import PersonalKind

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Base of all options: frozen, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SamplingOptions(Strict):
    """How answers are drawn. Left out, a knob stays at the engine's default."""

    max_tokens: int = Field(1024, ge=1)
    """Most tokens of one answer."""
    temperature: float = Field(1.0, ge=0, le=5)
    """0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling."""
    top_k: int | None = Field(None, ge=1)
    """Sample from the k likeliest tokens only."""
    repetition_penalty: float | None = Field(None, gt=0)
    """Above 1 discourages repetition; refused at planning by engines that can't."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer, beside the model's own."""
    reasoning: bool | None = None
    """Tell the model to reason first, or not to, as its card says how; refused for a model whose card doesn't. null tells it nothing."""

    def sampling(self) -> Sampling:
        """The engine-side form."""
        return Sampling(**self.model_dump())


class Entry(BaseModel):
    """A named module with raw options; see tasks/catalogue.py."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    @property
    def options(self) -> dict[str, Any]:
        """Everything beside the fields declared here."""
        return dict(self.model_extra or {})


class TechniqueEntry(Entry):
    """One way of getting prompts: `technique: open_qa` and that technique's options."""

    technique: str
    """Name of a module in tasks/prompts/."""


class ResponseEntry(Entry):
    """One way of answering: `technique: answer` and that technique's options."""

    technique: str
    """Name of a module in tasks/responses/."""
    samples: int = Field(1, ge=1, le=1000)
    """Conversations per prompt."""
    only: tuple[str, ...] = ()
    """Prompt techniques it answers; none named means all."""
    apart_from: tuple[str, ...] = ()
    """Prompt techniques it leaves to others."""
    role: str = "responder"
    """Which of the recipe's `models` answers: responder, or a further one such as responder_b or responder.weak."""
    samplings: tuple[SamplingOptions, ...] = ()
    """Several settings, in the place of `sampling`: `samples` conversations a prompt by each."""
    serves: Literal["sft", "preferences"] | None = None
    """Under `split`: answers the prompts of this set alone."""


class FilterEntry(Entry):
    """One filter: `filter: too_short` and that filter's parameters."""

    filter: str
    """Name of a function in tasks/filters/; its name is the drop reason."""
    bars: Literal["row", "chosen"] = "row"
    """`row`: a hit is dropped. `chosen`: a hit is kept out of SFT and is never chosen, but may be a pair's rejected side."""


class JudgeEntry(Entry):
    """One judge: `judge: reward_margin` and that judge's options."""

    judge: str
    """Name of a module in tasks/judges/."""


class NearOptions(Strict):
    """Near-duplicates by MinHash LSH on word shingles (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch. 3)."""

    shingle: int = Field(5, ge=1, le=64)
    """Words in a shingle."""
    permutations: int = Field(112, ge=8, le=1024)
    """Length of a signature."""
    threshold: float = Field(0.8, gt=0, lt=1)
    """Jaccard similarity from which two texts count as the same; bands and rows follow from it unless given."""
    bands: int | None = Field(None, ge=1)
    """Bands of the signature; with `rows`, overrides what `threshold` gives."""
    rows: int | None = Field(None, ge=1)
    """Rows in a band."""
    verify: bool = False
    """Check each candidate pair by its true Jaccard similarity."""

    @model_validator(mode="after")
    def _bands_go_with_rows(self) -> "NearOptions":
        if (self.bands is None) != (self.rows is None):
            raise ValueError("give both bands and rows, or neither")
        if self.bands is not None and self.rows is not None and self.bands * self.rows > self.permutations:
            raise ValueError(f"bands x rows is {self.bands * self.rows}, more than the {self.permutations} permutations")
        return self


class SemanticOptions(Strict):
    """Copies in meaning by embeddings, compared within clusters (SemDeDup: Abbas et al. 2023); `models.embedding` names the model."""

    threshold: float = Field(0.95, gt=0, lt=1)
    """Cosine from which two records count as the same; what it means differs from model to model, so look at what is dropped."""
    clusters: int | None = Field(None, ge=1)
    """Clusters within which records are compared; default: one for each 2,048 records. One cluster compares all with all."""
    probes: int = Field(2, ge=1, le=16)
    """In how many of its nearest clusters a record is compared: 1 is SemDeDup's own way and misses pairs that a border parts, more costs more."""


class DedupOptions(Strict):
    """Which records count as copies; of a cluster, the best-scored member is kept."""

    exact: bool = True
    """Drop copies after normalisation (NFKC, case, white space)."""
    near: NearOptions | None = NearOptions()
    """Drop near-copies; null leaves them."""
    semantic: SemanticOptions | None = None
    """Drop copies in meaning, of what is left; every record that is looked at costs an embedding call. null leaves them."""
    against: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$")], ...] = ()
    """Earlier releases, each as name/version: copies of their rows go too, found by their signature index. `dedup.against` is also screened against."""


class ScreenOptions(Strict):
    """What is done to prompts before any answer is paid for."""

    dedup: DedupOptions = DedupOptions()
    """Copies among the prompts."""
    max_prompt_tokens: int | None = Field(None, ge=1)
    """Longest prompt by estimate; default: the responder's context less the answer's max_tokens."""


class RedactOptions(Strict):
    """Personal data and keys that are put out of sight in everything published; what each kind is, the filters of the same names say."""

    kinds: tuple[PersonalKind, ...] = Field(get_args(PersonalKind), min_length=1)
    """Each is replaced by its name: `[EMAIL_ADDRESS]`. To drop an answer instead, name the filter; filters see the text as it was."""


class DiversityOptions(Strict):
    """A budget on copies while prompts are written: a cell whose prompts resemble each other too much gets no more calls."""

    mark: float = Field(0.5, gt=0, lt=1)
    """Share of copies (by `screen.dedup`) among a cell's prompts from which it is stopped."""
    least: int = Field(20, ge=1)
    """A cell with fewer prompts is left alone."""
    depth: int = Field(1, ge=0)
    """How many topics, from the broadest, make a cell (of `personas`, the person); 0 takes each technique as one cell."""
    waves: int = Field(4, ge=2)
    """How often copies are counted while a technique's last step is worked off; a wave is a whole number of shards."""


class BenchmarkOptions(Strict):
    """One benchmark that nothing made may hold: its problems are looked for in prompts and in answers."""

    path: str
    """The file, relative to the recipe's folder: .jsonl, .jsonl.gz, .parquet, .csv or .csv.gz."""
    columns: tuple[str, ...] = Field(min_length=1)
    """Columns with its texts: each a text, a list of texts or a list of turns. Name problems and solutions, not answers of a word."""
    name: str = Field("", max_length=64, pattern="^[^:]*$")
    """What drops call it; default: the file's name without its ending."""
    id: str | None = None
    """Column with a row's id; default: its number."""
    ngram: int = Field(13, ge=3, le=64)
    """A text that shares this many words in a row is contaminated; one that is shorter, if it is the same as a whole."""
    near: bool = False
    """Also drop what resembles a whole text of the benchmark, by MinHash, from a similarity of 0.8 on."""


class AppraisalOptions(Strict):
    """What a run demands of its reward engine before any work: `gristmill appraise` measured it on these pairs, and it did well enough."""

    pairs: str
    """Name of the file of pairs, without its endings."""
    at_least: float = Field(0.0, ge=0, le=1)
    """The least score."""


class ScoreOptions(Strict):
    """How conversations are graded."""

    weights: dict[str, float] | None = None
    """Attribute weights for the one number; default: the reward model's published ones."""
    attribute: str | None = None
    """One attribute that is the number, in the place of `weights`."""
    marks: dict[str, float] | None = None
    """A mark for each attribute, in the place of `weights`: the number is by how much the weakest clears its own (all are cleared from 0 on)."""

    appraisal: AppraisalOptions | None = None
    """Refuse a reward engine that was not appraised, or fell below a mark; null demands nothing."""

    @model_validator(mode="after")
    def _is_one_reduction(self) -> "ScoreOptions":
        given = [name for name in ("weights", "attribute", "marks") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are several ways to one number: give one of them")
        return self


class PairOptions(Strict):
    """How preference pairs are made."""

    judges: tuple[JudgeEntry, ...] = (JudgeEntry(judge="ground_truth"), JudgeEntry(judge="reward_margin"))
    """In order: the first with an opinion on two answers decides."""
    strategy: Literal["best_worst", "best_random", "margin_window", "all"] = "best_worst"
    """The best answer against the worst; the best against others that lose to it, drawn by stable hash; pairs with a margin of reward in a
    window; or every pair on which a judge has an opinion."""
    per_prompt: int | None = Field(None, ge=1)
    """Most pairs a prompt, the widest margins first; default: all, and one under `best_random`. Under `best_worst` there is one."""
    min_margin: float = 0.0
    """Under `margin_window`: least difference of the two rewards."""
    max_margin: float | None = None
    """Under `margin_window`: largest difference; what is too easy to tell apart teaches little."""

    @model_validator(mode="after")
    def _window_is_open(self) -> "PairOptions":
        if self.max_margin is not None and self.max_margin < self.min_margin:
            raise ValueError(f"max_margin {self.max_margin} is below min_margin {self.min_margin}")
        if self.strategy != "margin_window" and (self.max_margin is not None or self.min_margin):
            raise ValueError(f"min_margin and max_margin are of the strategy margin_window, not of {self.strategy}")
        return self


class SftOptions(Strict):
    """Which conversations become instruction data."""

    per_prompt: int | None = Field(1, ge=1)
    """The best k of a prompt by each response technique: by verdict, then reward; null publishes all."""
    require_correct: bool = True
    """Where a verdict is known, publish only answers that passed."""


class SplitOptions(Strict):
    """Two sets of prompts that have none in common: one for instruction data, one for preferences."""

    preference_share: float = Field(0.5, gt=0, lt=1)
    """Share of prompts whose answers become preferences alone, by stable hash of the prompt's id; the others' become instruction data alone."""
    sft: tuple[str, ...] = ()
    """Prompt techniques whose prompts are not parted: all for instruction data."""
    preferences: tuple[str, ...] = ()
    """Prompt techniques whose prompts are not parted: all for preferences."""


class RowsOptions(Strict):
    """Exactly so many rows, of train and validation together; the prompts that the recipe asks for are the most that is spent on them."""

    sft: int | None = Field(None, ge=1)
    """Rows of instruction data."""
    preferences: int | None = Field(None, ge=1)
    """Preference pairs."""

    @property
    def wanted(self) -> dict[str, int]:
        """Data set to rows, where a number is asked for."""
        return {name: rows for name, rows in (("sft", self.sft), ("preferences", self.preferences)) if rows is not None}


class ReleaseOptions(Strict):
    """What is published."""

    rows: RowsOptions | None = None
    """Publish exactly so many rows: prompts are answered round by round until there are enough. null publishes all there are."""

    validation: Share = 0.05
    """Share of prompts whose rows go to the validation split, by stable hash."""
    rows_per_file: int = Field(50_000, ge=1)
    """Rows of one Parquet file."""


class BudgetOptions(Strict):
    """What a run may spend, over all its resumes; no part of its identity, so a run that stopped goes on once a cap is raised."""

    calls: int | None = Field(None, ge=1)
    """Most engine calls; those that were paid for earlier cost nothing."""
    tokens: int | None = Field(None, ge=1)
    """Most tokens, read and written together."""
    hours: float | None = Field(None, gt=0)
    """Longest time at work."""
    money: float | None = Field(None, gt=0)
    """Most money, in the currency of the table that `GRISTMILL_PRICES` names."""
    at_limit: Literal["stop", "publish"] = "stop"
    """`stop`: the run ends, to be gone on with. `publish`: what it has is finished and published; each stage may then spend its planned share."""
    failures: float | None = Field(0.5, gt=0, lt=1)
    """Share of records that may come to nothing before the run stops early, judged on the last 400 of each technique; null never stops."""


class Recipe(Strict):
    """What to make. The whole of it, but for the budget, is the run's identity."""

    name: Name
    """The data set's name; releases go to releases/<name>/."""
    title: str = ""
    """One line for the data card."""
    seed: int = Field(0, ge=0)
    """Root of all random choices."""
    language: str = Field("en", pattern=r"^[a-z]{2,3}$")
    """ISO 639 code of the language that answers should be in."""
    use: Use = "training"
    """What the data is for: evaluation, training, commercial-training. What a licence of a model or a seed forbids is refused before any work."""
    models: dict[str, str]
    """Role (writer, responder, user, judge, reward, embedding) to model card id; `responder_b`, `responder.weak` … are further responders."""
    prompts: tuple[TechniqueEntry, ...] = Field(min_length=1)
    """Where prompts come from."""
    diversity: DiversityOptions | None = None
    """A budget on copies while prompts are written; null writes all that is asked for."""
    screen: ScreenOptions = ScreenOptions()
    """Checks on prompts."""
    decontaminate: tuple[BenchmarkOptions, ...] = ()
    """Benchmarks of which nothing may be published; prompts are checked before any answer is paid for."""
    responses: tuple[ResponseEntry, ...] = Field(min_length=1)
    """How prompts are answered."""
    score: ScoreOptions | None = ScoreOptions()
    """Reward scoring; null leaves it out."""
    filters: tuple[FilterEntry, ...] = ()
    """Checks on conversations, in order."""
    redact: RedactOptions | None = None
    """Personal data to put placeholders for, in prompts, answers and drops alike; null publishes texts as they are."""
    dedup: DedupOptions = DedupOptions()
    """Copies among the conversations."""
    split: SplitOptions | None = None
    """Keep prompts for instruction data and prompts for preferences apart; null lets a prompt serve for both. Prompts flagged as unsafe serve for
    preferences alone, either way."""
    pairs: PairOptions | None = PairOptions()
    """Preference pairs; null makes none."""
    sft: SftOptions | None = SftOptions()
    """Instruction data; null makes none."""
    release: ReleaseOptions = ReleaseOptions()
    """Layout of what is published."""
    budget: BudgetOptions = BudgetOptions()
    """What may be spent on it."""
    shard_records: int = Field(256, ge=1, le=100_000)
    """Records of one shard: the unit of commit, retry and resume."""


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe's own shape. Raises RecipeError naming each wrong key and value.

    Entries' options are checked later, by tasks/catalogue.py, which knows the modules.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe at {path}: give the path of a YAML file, for example recipes/rehearsal.yaml") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"can't read the recipe {path}: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"the recipe {path} is not a mapping of keys to values")
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(f"the recipe {path} is wrong:\n{explain(error)}") from error


def explain(error: ValidationError, prefix: str = "") -> str:
    """Say each fault of a pydantic validation on its own line: where, what, and the value given."""
    return "\n".join(_explain_one(prefix, fault) for fault in error.errors())


def _explain_one(prefix: str, fault: Any) -> str:
    where = ".".join(str(part) for part in (*([prefix] if prefix else []), *fault["loc"])) or "the whole"
    if fault["type"] == "extra_forbidden":
        return f"  {where}: unknown key"
    if fault["type"] == "missing":
        return f"  {where}: missing"
    return f"  {where}: {fault['msg'].removeprefix('Value error, ')} (given: {fault['input']!r:.80})"

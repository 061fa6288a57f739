"""What the three dialects of text generation share: the recorded answers and the language."""

from infra.triton.rehearsal_language.chat import last_user_text
from infra.triton.rehearsal_language.replay import Replay, read_replays
from infra.triton.rehearsal_language.speak import Asked, Said, Temper, finish, speak
from infra.triton.rehearsal_models.serving import ServedModel


class Generator(ServedModel):
    """Base of the models that write text."""

    def initialize(self, args: dict[str, str]) -> None:
        """Take up work (called by Triton)."""
        super().initialize(args)
        options = self.options
        self._temper = Temper(options.seed, options.wrong_rate, options.malformed_rate, options.refusal_rate, options.truncation_rate, options.biased_rate)
        self._replay = Replay(read_replays(self.options.replay))

    def say(self, asked: Asked) -> Said:
        """Give the recorded answer where there is one, else compose."""
        if asked.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {asked.max_tokens}")
        recorded = self._replay.answer(last_user_text(asked.prompt), asked.effective_seed)
        return speak(asked, self._temper) if recorded is None else finish(recorded, asked)

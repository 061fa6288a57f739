"""The production side of Triton: which hardware serves a model how, scripts from checkpoint to engine, model repositories, launchers."""

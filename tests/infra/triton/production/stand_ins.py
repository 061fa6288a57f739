"""Stand-ins for what a rendered repository takes from the container: the Python of tokenizer and detokenizer, the engine, TensorRT-LLM's LLM API.

Each is the text of a `model.py` (or module) that Triton's Python backend runs with the rendered configuration. Tokens are bytes; the logits of token k after a
text of n tokens are 100 n + k.
"""

PREPROCESSING = """
import json
import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        # As upstream's does: what it looks up must be declared.
        assert config["parameters"]["tokenizer_dir"]["string_value"].endswith("/tokenizer")
        assert config["parameters"]["add_special_tokens"]["string_value"] == "false"
        config["parameters"]["multimodal_model_path"]["string_value"]
        outputs = ["INPUT_ID", "DECODER_INPUT_ID", "REQUEST_INPUT_LEN", "REQUEST_DECODER_INPUT_LEN", "BAD_WORDS_IDS", "STOP_WORDS_IDS", "OUT_END_ID",
                   "OUT_PAD_ID", "OUT_PROMPT_TABLE_EXTRA_IDS", "PIXEL_VALUES", "IMAGE_SIZES"]
        for name in outputs:
            pb.triton_string_to_numpy(pb.get_output_config_by_name(config, name)["data_type"])
        for name in ["EMBEDDING_BIAS_WORDS", "EMBEDDING_BIAS_WEIGHTS"]:
            pb.triton_string_to_numpy(pb.get_input_config_by_name(config, name)["data_type"])

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        texts = [row[0] for row in pb.get_input_tensor_by_name(request, "QUERY").as_numpy()]
        longest = max(map(len, texts))
        ids = np.array([list(text) + [0] * (longest - len(text)) for text in texts], np.int32)
        wanted = pb.get_input_tensor_by_name(request, "REQUEST_OUTPUT_LEN").as_numpy()
        one = np.ones((len(texts), 1), np.int32)
        return pb.InferenceResponse([
            pb.Tensor("INPUT_ID", ids), pb.Tensor("REQUEST_INPUT_LEN", np.array([[len(text)] for text in texts], np.int32)),
            pb.Tensor("DECODER_INPUT_ID", one), pb.Tensor("REQUEST_DECODER_INPUT_LEN", one), pb.Tensor("REQUEST_OUTPUT_LEN", wanted),
            pb.Tensor("BAD_WORDS_IDS", np.zeros((len(texts), 2, 0), np.int32)), pb.Tensor("STOP_WORDS_IDS", np.zeros((len(texts), 2, 0), np.int32)),
            pb.Tensor("EMBEDDING_BIAS", np.zeros((len(texts), 0), np.float32)), pb.Tensor("OUT_END_ID", 2 * one), pb.Tensor("OUT_PAD_ID", 0 * one),
        ])
"""

ENGINE = '''
import numpy as np
import triton_python_backend_utils as pb

VOCABULARY = 300


class TritonPythonModel:
    """Answers with the prompt's tokens backwards, as many as were asked for."""

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        length, wanted = int(given["input_lengths"].reshape(-1)[0]), int(given["request_output_len"].reshape(-1)[0])
        ids = given["input_ids"].reshape(-1)[:length]
        if b"FAIL" in bytes(ids.astype(np.uint8)):
            return pb.InferenceResponse(error=pb.TritonError("the engine failed", pb.TritonError.UNAVAILABLE))
        tokens = ids[::-1][:wanted]
        tensors = [
            pb.Tensor("output_ids", tokens.reshape(1, 1, -1).astype(np.int32)), pb.Tensor("sequence_length", np.array([[len(tokens)]], np.int32)),
            pb.Tensor("num_input_tokens", np.array([[length]], np.int32)), pb.Tensor("num_output_tokens", np.array([[len(tokens)]], np.int32)),
        ]
        if "return_generation_logits" in given and given["return_generation_logits"].any():
            assert int(given["end_id"].reshape(-1)[0]) == 2
            logits = 100 * length + np.arange(VOCABULARY, dtype=np.float32)
            tensors.append(pb.Tensor("generation_logits", np.broadcast_to(logits, (1, 1, wanted, VOCABULARY)).copy()))
        return pb.InferenceResponse(tensors)
'''

POSTPROCESSING = """
import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tokens = pb.get_input_tensor_by_name(request, "TOKENS_BATCH").as_numpy()
        lengths = pb.get_input_tensor_by_name(request, "SEQUENCE_LENGTH").as_numpy()
        texts = [bytes(beam[:n].astype(np.uint8)) for row, ns in zip(tokens, lengths) for beam, n in zip(row, ns)]
        return pb.InferenceResponse([pb.Tensor("OUTPUT", np.array(texts, dtype=np.object_).reshape(len(tokens), -1))])
"""

LLMAPI = """
import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        text = given["text_input"][0][::-1][: int(given["sampling_param_max_tokens"][0])]
        told = [pb.Tensor("text_output", np.array([text], dtype=np.object_))]
        if given["return_finish_reason"][0]:
            told.append(pb.Tensor("finish_reason", np.array(["stop"], dtype=np.object_)))
        return pb.InferenceResponse(told)
"""

TENSORRT_LLM = '''
"""Stands in for TensorRT-LLM's LLM API."""
from types import SimpleNamespace
import numpy as np


class SamplingParams:
    def __init__(self, **told):
        assert told == {"max_tokens": 1, "temperature": 0.0, "return_generation_logits": True, "add_special_tokens": False}


class LLM:
    def __init__(self, *, model, tokenizer, backend, tensor_parallel_size, pipeline_parallel_size, max_batch_size, max_input_len, max_seq_len):
        assert backend == "pytorch" and max_seq_len == max_input_len + 1
        self.tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: list(text.encode()))

    async def generate_async(self, ids, sampling):
        if b"FAIL" in bytes(ids):
            raise RuntimeError("the engine failed")
        logits = (100 * len(ids) + np.arange(300, dtype=np.float32)).reshape(1, -1)
        return SimpleNamespace(outputs=[SimpleNamespace(generation_logits=logits)])
'''

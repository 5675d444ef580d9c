"""The API has the shape that OpenAI's clients and lm-evaluation-harness read, and says what is wrong."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from lmgen.errors import ConfigError
from lmgen.evaluation.scoring import score_ids
from lmgen.models.ngram.model import NgramModel
from lmgen.serving import application
from lmgen.serving.engine import Engine
from lmgen.text.config import ReadingConfig
from lmgen.text_model import TextModel
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from tests.serving.models import model, text_model, tokenizer

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("httpx2", reason="starlette's test client needs it")

from starlette.testclient import TestClient

BASE = "http://localhost:8000"

MODELS = [
    ("lstm", "char"),
    ("mixture", "bpe"),
    ("ngram", "word"),
    ("attention", "line"),
    ("convolution", "byte"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = application(*(text_model(*each) for each in MODELS), max_length=100, max_prompt=200)
    with TestClient(app, base_url=BASE) as client:
        yield client


def complete(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


def events(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    """The pieces of a streamed answer."""
    response = client.post("/v1/completions", json={**body, "stream": True})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    parts = response.text.split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


def error_of(response: Any, status: int = 400) -> dict[str, Any]:
    assert response.status_code == status, response.text
    [(name, error)] = response.json().items()
    assert name == "error"
    assert set(error) == {"message", "type", "param", "code"}
    return error  # type: ignore[no-any-return]


def test_an_application_is_started_and_stopped_any_number_of_times() -> None:
    app = application(text_model("lstm", "char"))
    answers = []
    for _ in range(2):
        with TestClient(app, base_url=BASE) as client:
            answers.append(complete(client, prompt="worker", seed=1, max_tokens=8)["choices"])

    assert answers[0] == answers[1]


def test_a_model_that_learns_from_clients_is_refused() -> None:
    learning = text_model("lstm", "char").adapting(adapt=False, cache=True)
    with pytest.raises(
        ConfigError, match="learns from what it reads, and would learn from one client for an"
    ):
        application(text_model("ngram", "char"), learning)


def test_a_name_that_is_not_utf8_is_one_that_clients_can_read() -> None:
    app = application(text_model("lstm", "char", "caf\udce9"))
    with TestClient(app, base_url=BASE) as client:
        [listed] = client.get("/v1/models").json()["data"]
        answer = complete(client, model=listed["id"], prompt="worker", max_tokens=2)
        error = error_of(client.get("/v1/models/other"), 404)

    assert listed["id"] == answer["model"] == "caf\ufffd"
    assert "caf\ufffd" in error["message"]


def test_more_than_could_ever_wait_is_not_to_be_tried_again() -> None:
    app = application(text_model("lstm", "char"), max_waiting=3)
    with TestClient(app, base_url=BASE) as client:
        body = {"prompt": ["a"] * 2, "n": 34, "max_tokens": 1}
        error = error_of(client.post("/v1/completions", json=body))
        fits = client.post("/v1/completions", json={**body, "prompt": ["a"] * 67, "n": 1})

    assert "are 68 completions, and one request may ask for 67; send several requests" in error["message"]
    assert error["param"] == "n"
    assert fits.status_code == 200


def test_models_are_listed_by_name(client: TestClient) -> None:
    listed = client.get("/v1/models").json()

    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == [f"{kind}-{tokens}" for kind, tokens in MODELS]
    assert client.get("/v1/models/ngram-word").json() == listed["data"][2]
    error = error_of(client.get("/v1/models/ngram-wort"), 404)
    assert error["message"] == "there is no model 'ngram-wort' (did you mean ngram-word?)"
    assert error["code"] == "model_not_found"


def test_a_completion_has_the_text_of_the_library(client: TestClient) -> None:
    for kind, tokens in MODELS:
        body = {"model": f"{kind}-{tokens}", "prompt": "worker 3 fin", "seed": 4, "temperature": 0.8}
        answer = complete(client, **body, max_tokens=9, n=2, stop="7")
        expected = list(
            text_model(kind, tokens).complete(
                ["worker 3 fin"], num=2, seed=4, length=9, temperature=0.8, stop=["7"]
            )
        )

        choices = answer["choices"]
        clean = ["".join("�" if "\udc80" <= c <= "\udcff" else c for c in each.text) for each in expected]
        assert [each["text"] for each in choices] == clean
        assert [each["index"] for each in choices] == [0, 1]
        assert [each["finish_reason"] for each in choices] == [
            "length" if each.stopped_by == "length" else "stop" for each in expected
        ]
        assert answer["object"] == "text_completion"
        assert answer["model"] == f"{kind}-{tokens}"
        prompt = len(tokenizer(tokens).encode("worker 3 fin"))
        drawn = sum(each.tokens for each in expected)
        assert answer["usage"] == {
            "prompt_tokens": prompt,
            "completion_tokens": drawn,
            "total_tokens": prompt + drawn,
        }


def test_prompts_are_texts_or_ids_one_or_many(client: TestClient) -> None:
    ids = tokenizer("char").encode("worker").tolist()
    body = {"max_tokens": 8, "seed": 3}
    one = complete(client, prompt="worker", **body)["choices"]

    assert complete(client, prompt=ids, **body)["choices"] == one
    many = complete(client, prompt=["worker", "job"], n=2, **body)["choices"]
    assert [each["index"] for each in many] == [0, 1, 2, 3]
    assert many[0] == one[0]
    as_ids = [ids, tokenizer("char").encode("job").tolist()]
    assert complete(client, prompt=as_ids, n=2, **body)["choices"] == many
    assert complete(client, **body)["choices"] == complete(client, prompt="", **body)["choices"]
    assert complete(client, prompt=[[]], **body)["choices"] == complete(client, prompt="", **body)["choices"]


def test_the_defaults_are_those_of_openai(client: TestClient) -> None:
    answer = complete(
        client,
        prompt="worker",
        temperature=None,
        top_p=1,
        n=1,
        best_of=1,
        suffix=None,
        logit_bias={},
        presence_penalty=0,
        frequency_penalty=0.0,
        user="somebody",
    )

    assert answer["usage"]["completion_tokens"] == 16
    assert answer["choices"][0]["logprobs"] is None
    assert complete(client, prompt="w")["choices"] != complete(client, prompt="w")["choices"]


@pytest.mark.parametrize(("kind", "tokens"), MODELS)
def test_a_stream_joins_to_the_whole_answer(client: TestClient, kind: str, tokens: str) -> None:
    body = {
        "model": f"{kind}-{tokens}",
        "prompt": ["worker 3 fin", "job"],
        "n": 2,
        "max_tokens": 12,
        "seed": 1,
        "logprobs": 2,
        "echo": True,
        "stop": ["8"],
    }
    whole = complete(client, **body)
    pieces = events(client, **body, stream_options={"include_usage": True})

    assert {each["id"] for each in pieces} == {pieces[0]["id"]}
    assert pieces[-1]["choices"] == []
    assert pieces[-1]["usage"] == whole["usage"]
    assert all(each["usage"] is None for each in pieces[:-1])
    for choice in whole["choices"]:
        own = [each["choices"][0] for each in pieces[:-1] if each["choices"][0]["index"] == choice["index"]]
        assert "".join(each["text"] for each in own) == choice["text"]
        assert [each["finish_reason"] for each in own][:-1] == [None] * (len(own) - 1)
        assert own[-1]["finish_reason"] == choice["finish_reason"]
        for name, values in choice["logprobs"].items():
            assert [value for each in own for value in each["logprobs"][name]] == values


def test_logprobs_say_where_tokens_begin_in_the_text(client: TestClient) -> None:
    for echo in (True, False):
        [choice] = complete(client, prompt="worker 3", max_tokens=6, logprobs=3, echo=echo, seed=2)["choices"]
        logprobs = choice["logprobs"]

        assert choice["text"].startswith("worker 3") is echo
        assert logprobs["text_offset"] == list(range(len(choice["text"])))
        assert "".join(logprobs["tokens"]) == choice["text"]
        assert all(len(top) == 3 for top in logprobs["top_logprobs"])
        assert all(
            max(top.values()) >= value
            for top, value in zip(logprobs["top_logprobs"], logprobs["token_logprobs"], strict=True)
        )


def test_a_prompt_can_be_scored_without_drawing_anything(client: TestClient) -> None:
    for kind, tokens in MODELS:
        of = tokenizer(tokens)
        text = "worker 1 finished job 1 after\n"
        body = {"model": f"{kind}-{tokens}", "max_tokens": 0, "echo": True, "logprobs": 0}
        [choice] = complete(client, prompt=text, **body)["choices"]
        nats = np.concatenate(
            [block.nats for block in score_ids(model(kind, tokens), of.encode(text), exact=True)]
        )

        assert (choice["text"], choice["finish_reason"]) == (text, "length")
        assert choice["logprobs"]["token_logprobs"] == pytest.approx((-nats).tolist(), rel=1e-4, abs=1e-6)
        assert set(map(len, choice["logprobs"]["top_logprobs"])) == {0}
        [by_ids] = complete(client, prompt=of.encode(text).tolist(), **body)["choices"]
        assert by_ids["logprobs"]["token_logprobs"] == choice["logprobs"]["token_logprobs"]


def remote_loglikelihood(client: TestClient, name: str, continuation: str) -> tuple[float, bool]:
    """
    The loglikelihood of a text as lm-evaluation-harness 0.4.13 finds it with `local-completions`.

    The code is that of its RemoteTokenizer, `_loglikelihood_tokens`, `_create_payload` and `parse_logprobs`.
    """
    info = client.get("/tokenizer_info", params={"model": name}).json()
    assert "eos_token" in info

    def encode(text: str) -> list[int]:
        payload = {"prompt": text, "add_special_tokens": False, "model": name}
        return client.post("/tokenize", json=payload).json()["tokens"]  # type: ignore[no-any-return]

    [prefix] = encode(info["bos_token"])
    context, rest = [prefix], encode(continuation)
    payload = {
        "model": name,
        "prompt": [context + rest],
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": 1,
        "seed": 1234,
        "echo": True,
    }
    [choice] = complete(client, **payload)["choices"]
    values = choice["logprobs"]["token_logprobs"][len(context) : -1]
    tops = choice["logprobs"]["top_logprobs"][len(context) : -1]
    assert len(values) == len(rest)
    return sum(values), all(value == max(top.values()) for value, top in zip(values, tops, strict=True))


@pytest.mark.parametrize(("kind", "tokens"), MODELS)
def test_loglikelihoods_of_the_harness_are_those_of_the_library(
    client: TestClient, kind: str, tokens: str
) -> None:
    opened = text_model(kind, tokens)
    for text in ("worker 1 finished job 1", "worker 12 finished jobs 1", "after"):
        found, _ = remote_loglikelihood(client, f"{kind}-{tokens}", text)
        scores = opened.score(f"\n{text}", by="token", exact=True)
        nats = [-each.log10 * np.log(10) for each in scores]
        expected = -sum(nats[1 : 1 + len(tokenizer(tokens).encode(text))])

        assert found == pytest.approx(expected, rel=1e-5)


def test_a_greedy_continuation_is_known_as_such(client: TestClient) -> None:
    [choice] = complete(client, prompt="\n", temperature=0, max_tokens=10)["choices"]

    assert remote_loglikelihood(client, "lstm-char", choice["text"])[1]
    assert not remote_loglikelihood(client, "lstm-char", "zzz")[1]


def test_tokens_go_and_come_back(client: TestClient) -> None:
    text = "worker 1 finished job 1 after\n"
    for kind, tokens in MODELS:
        name = f"{kind}-{tokens}"
        answer = client.post("/tokenize", json={"model": name, "prompt": text}).json()

        assert answer["tokens"] == tokenizer(tokens).encode(text).tolist()
        assert answer["count"] == len(answer["tokens"])
        back = client.post("/detokenize", json={"model": name, "tokens": answer["tokens"]}).json()
        assert back == {"prompt": text}
    pieces = client.post("/tokenize", json={"prompt": "wo", "return_token_strs": True}).json()["token_strs"]
    assert pieces == ["w", "o"]


def test_tokens_are_those_of_the_text_as_the_model_reads_it() -> None:
    reading = ReadingConfig(newlines="lf", normalize="nfc")
    of = train_tokenizer(lambda: ["café\nbar\n"], TokenizerConfig(), reading)
    ids = np.concatenate(list(of.encode_stream(["café\nbar\n"])))
    trigrams = NgramModel.fit(ids, order=3, vocabulary_size=of.vocabulary_size, sentence_end=of.sentence_end)
    text = "cafe\u0301\r\nbar"
    with TestClient(
        application(TextModel(trigrams, of, Path("read"), {}, is_saved=False)), base_url=BASE
    ) as client:
        answer = client.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
        asked = {"max_tokens": 0, "echo": True, "logprobs": 0}
        of_text, of_ids = (
            complete(client, prompt=prompt, **asked)["choices"][0] for prompt in (text, answer["tokens"])
        )

    assert answer["token_strs"] == [*"café\nbar"]
    assert of_ids == of_text


def test_what_is_no_utf_8_is_sent_as_a_replacement_character(client: TestClient) -> None:
    answer = client.post("/detokenize", json={"model": "convolution-byte", "tokens": [97, 255, 98]}).json()

    assert answer == {"prompt": "a�b"}
    [choice] = complete(
        client, model="convolution-byte", prompt=[226, 128], max_tokens=20, logprobs=2, seed=1
    )["choices"]
    assert choice["text"].encode()


@pytest.mark.parametrize(
    ("wrong", "param", "message"),
    [
        ({"promt": "a"}, "promt", "there is no field 'promt' (did you mean prompt?)"),
        ({"best_of": 3}, "best_of", "best_of is not supported; leave it out"),
        ({"suffix": "x"}, "suffix", "suffix is not supported"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "logit_bias is not supported"),
        ({"presence_penalty": 0.5}, "presence_penalty", "presence_penalty is not supported"),
        ({"max_tokens": 101}, "max_tokens", "max_tokens is 101, but has to be from 0 to 100"),
        ({"max_tokens": "9"}, "max_tokens", "max_tokens is '9', but has to be a whole number"),
        ({"max_tokens": True}, "max_tokens", "but has to be a whole number"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens is -1"),
        ({"n": 65}, "n", "n is 65, but has to be from 1 to 64"),
        ({"prompt": ["a"] * 3, "n": 64}, "n", "are 192 completions, and one request may ask for 128"),
        ({"temperature": -1}, "temperature", "temperature is -1"),
        ({"temperature": "hot"}, "temperature", "temperature is 'hot'"),
        ({"top_p": 0}, "top_p", "top_p is 0"),
        ({"top_k": 0}, "top_k", "top_k is 0"),
        ({"seed": -1}, "seed", "seed is -1"),
        ({"logprobs": 21}, "logprobs", "logprobs is 21, but has to be from 0 to 20"),
        ({"logprobs": True}, "logprobs", "but has to be a whole number"),
        ({"stop": ["a", ""]}, "stop", "has to be a text or a list of at most 16 texts"),
        ({"stop": ["a"] * 17}, "stop", "has to be a text or a list of at most 16 texts"),
        ({"stop": 7}, "stop", "stop is 7"),
        ({"echo": "yes"}, "echo", "echo is 'yes', but has to be true or false"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "goes with stream"),
        ({"prompt": 7}, "prompt", "prompt is 7, but has to be a text, a list of texts, a list of token ids"),
        ({"prompt": []}, "prompt", "but has to be a text, a list of texts"),
        ({"prompt": ["a", 1]}, "prompt", "but has to be a text, a list of texts"),
        ({"prompt": [1, 99]}, "prompt", "token id 99 is not in the vocabulary; ids are 0 to 31"),
        ({"prompt": "a" * 201}, "prompt", "the prompt has more than 200 tokens"),
        ({"prompt": [[1] * 101, [1] * 101]}, "prompt", "the prompt has more than 200 tokens"),
        ({"prompt": "\udc80"}, "prompt", "is a lone surrogate"),
        (
            {"prompt": ["a" * 100] * 2, "n": 64, "echo": True, "logprobs": 20, "max_tokens": 100},
            "logprobs",
            "the answer may list 537,600 log-probabilities",
        ),
        ({"\udc80": 1}, "\ufffd", "there is no field"),
        ({"stream": True, "stream_options": {"\udc80": 1}}, "\ufffd", "there is no field"),
        (
            {"stream": True, "stream_options": 5},
            "stream_options",
            "stream_options is 5, but has to be a JSON",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(
    client: TestClient, wrong: dict[str, Any], param: str, message: str
) -> None:
    body = json.dumps({"prompt": "a", **wrong})
    response = client.post("/v1/completions", content=body, headers={"content-type": "application/json"})
    error = error_of(response)

    assert error["param"] == param
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[1]", "the body is [1], but has to be a JSON object"),
    ],
)
def test_a_body_that_is_no_object_is_refused(client: TestClient, content: bytes, message: str) -> None:
    for address in ("/v1/completions", "/tokenize", "/detokenize"):
        response = client.post(address, content=content, headers={"content-type": "application/json"})
        assert message in error_of(response)["message"]


def test_a_body_that_is_too_large_is_not_read(client: TestClient) -> None:
    json_type = {"content-type": "application/json"}
    large = b'{"prompt": "' + b"a" * 5_000_000 + b'"}'

    def chunks() -> Iterator[bytes]:
        for begin in range(0, len(large), 100_000):
            yield large[begin : begin + 100_000]

    assert error_of(client.post("/v1/completions", content=large, headers=json_type), 413)["code"]
    assert error_of(client.post("/v1/completions", content=chunks(), headers=json_type), 413)["code"]


def test_addresses_and_methods_that_do_not_exist_are_errors_like_any_other(client: TestClient) -> None:
    assert error_of(client.get("/v1/chat/completions"), 404)["message"] == "there is nothing at this address"
    assert "method" in error_of(client.get("/v1/completions"), 405)["message"]
    assert "method" in error_of(client.options("/v1/completions"), 405)["message"]


def test_pages_of_other_origins_are_kept_out(client: TestClient) -> None:
    body = {"prompt": "a"}
    for host in ("evil.example", "127.0.0.1.evil.example:8000", "", "localhost.evil:80"):
        assert error_of(client.get("/v1/models", headers={"host": host}), 403)["code"] == "host_not_allowed"
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        assert client.get("/v1/models", headers={"host": host}).status_code == 200
    for origin in ("http://evil.example", "null", "http://localhost:8001"):
        response = client.post("/v1/completions", json=body, headers={"origin": origin})
        assert error_of(response, 403)["code"] == "cross_origin"
        assert not any(name.startswith("access-control") for name in response.headers)
    assert client.post("/v1/completions", json=body, headers={"origin": BASE}).status_code == 200
    form = client.post("/v1/completions", content=json.dumps(body), headers={"content-type": "text/plain"})
    assert "Content-Type: application/json" in error_of(form, 415)["message"]


def test_a_key_is_asked_for_and_never_told() -> None:
    with TestClient(application(text_model("ngram", "char"), api_key="secret"), base_url=BASE) as client:
        for given in ("Bearer nothing", "secret", "Basic secret", "Bearer", "Bearer secret secret", ""):
            wrong = {"authorization": given} if given else {}
            for response in (client.get("/v1/models", headers=wrong), client.get("/nowhere", headers=wrong)):
                error = error_of(response, 401)
                assert error["type"] == "authentication_error"
                assert "secret" not in response.text
        for right in ("Bearer secret", "bearer secret", "BEARER  secret"):
            assert client.get("/v1/models", headers={"authorization": right}).status_code == 200
        assert client.get("/").status_code == 200
        elsewhere = {"authorization": "Bearer secret", "host": "a-machine:8000"}
        assert client.get("/v1/models", headers=elsewhere).status_code == 200


def test_a_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMGEN_API_KEY", "hidden")
    with TestClient(application(text_model("ngram", "char")), base_url=BASE) as client:
        error_of(client.get("/v1/models"), 401)
    monkeypatch.setenv("LMGEN_API_KEY", "")
    with pytest.raises(ConfigError, match="the key is empty"):
        application(text_model("ngram", "char"))


@pytest.mark.parametrize("key", ["a key", "key\n", "\tkey", "a\x00", "clé", "\udcff"])
def test_a_key_that_no_client_could_send_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ConfigError, match="has to be of ASCII letters") as error:
        application(text_model("ngram", "char"), api_key=key)
    assert key not in str(error.value)


def test_more_than_may_wait_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, go_on = threading.Event(), threading.Event()
    work = Engine.round

    def wait_and_work(engine: Engine) -> None:
        busy.set()
        go_on.wait()
        work(engine)

    monkeypatch.setattr(Engine, "round", wait_and_work)
    app = application(text_model("lstm", "char"), max_waiting=0)
    with TestClient(app, base_url=BASE) as client, ThreadPoolExecutor() as others:
        first = others.submit(complete, client, prompt=["a"] * 64, max_tokens=2)
        busy.wait()
        response = client.post("/v1/completions", json={"prompt": "a"})
        go_on.set()
        error = error_of(response, 429)
        assert response.headers["retry-after"] == "1"
        assert (error["type"], error["code"]) == ("rate_limit_error", "too_many_waiting")
        assert "at most 64 may be" in error["message"]
        assert len(first.result()["choices"]) == 64


def test_what_went_wrong_in_the_model_is_told_and_the_server_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bugs: list[Exception] = []
    opened = text_model("ngram", "char")
    with TestClient(application(opened, on_bug=bugs.append), base_url=BASE) as client:
        with monkeypatch.context() as broken:
            broken.setattr(type(opened.model), "predict", lambda *_: 1 // 0)
            for body in ({}, {"stream": True}):
                response = client.post("/v1/completions", json={"prompt": "a", **body})
                assert "a bug in lmgen: ZeroDivisionError" in response.text
        assert [type(bug) for bug in bugs] == [ZeroDivisionError] * 2
        assert complete(client, prompt="a", seed=1)["choices"]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two models are called 'same'"):
        application(text_model("ngram", "char", "a/same"), text_model("lstm", "char", "b/same"))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"prot.* \(did you mean port\?\)"):
        application(text_model("ngram", "char"), prot=80)


RIGHT: dict[str, list[Any]] = {
    "prompt": ["worker 3 fin", "", "a", [1, 2], ["a", "b "], "job\n", "“"],
    "max_tokens": [0, 1, 2, 9],
    "n": [1, 2],
    "stop": ["e", ["o", "a"]],
    "seed": [1],
    "stream": [True, False],
    "echo": [True, False],
    "logprobs": [0, 3, 20],
    "temperature": [0, 0.5, 2],
    "top_p": [0.1, 0.9],
    "top_k": [1, 3],
    "min_p": [0.1],
    "repetition_penalty": [0.5, 2],
}

STRANGE: list[Any] = [
    None,
    0,
    -1,
    1e308,
    10**30,
    float("inf"),
    True,
    "",
    "\ud800",
    "👍",
    "\t",
    [],
    [0],
    [""],
    {},
    {"a": 1},
]


def test_every_request_is_answered_or_refused(client: TestClient) -> None:
    random = Random(5)
    statuses = set()
    for _ in range(200):
        kind, tokens = random.choice(MODELS)
        body: dict[str, Any] = {"model": f"{kind}-{tokens}"}
        for name in random.sample(list(RIGHT), random.randint(0, 6)):
            body[name] = random.choice(RIGHT[name] if random.random() < 0.85 else STRANGE)
        sent = json.dumps(body)
        response = client.post("/v1/completions", content=sent, headers={"content-type": "application/json"})
        statuses.add(response.status_code)
        assert response.status_code in (200, 400), body
        assert ('"error"' in response.text) is (response.status_code == 400), body
        for choice in [] if body.get("stream") or response.status_code == 400 else response.json()["choices"]:
            columns = list((choice["logprobs"] or {}).values())
            assert len(set(map(len, columns))) <= 1, body
            assert all(0 <= at <= len(choice["text"]) for at in (columns[3] if columns else ())), body

    assert statuses == {200, 400}

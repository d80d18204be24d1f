"""The parameters of generation one by one with the clients that people have, beside openai_tour.py, which has the endpoints:
what each does to the answer, not only that it is taken. Run by scripts/check-serve."""
import asyncio
import json
import pathlib
import re
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import anthropic
import langchain_openai
import openai

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import programs  # noqa: E402
import serving  # noqa: E402

TEMPLATE = ("{% for m in messages %}{{ m.role }}: {{ m.content }}"
            "{% if not loop.last or add_generation_prompt %}{{ '\n' }}{% endif %}{% endfor %}{% if shout is defined %}{{ shout }}{% endif %}{% if add_generation_prompt %}assistant:{% endif %}")
STORY = "Once upon a time, there was a little"
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
    "additionalProperties": False}}}
server = None


class Parameters(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=server.url + "/v1", api_key="secret", max_retries=0)

    def complete(self, prompt=STORY, **fields):
        return self.client.completions.create(model="stories260k", prompt=prompt,
                                              **{"max_tokens": 12, "temperature": 0, **fields})

    def chat(self, content=STORY, **fields):
        return self.client.chat.completions.create(model="stories260k", messages=[{"role": "user", "content": content}],
                                                   **{"max_tokens": 12, "temperature": 0, **fields})

    def post(self, path, body, headers=None):
        request = urllib.request.Request(server.url + path, json.dumps(body).encode(),
                                         {"Authorization": "Bearer secret", **(headers or {})})
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
            return answer, json.loads(text) if text.startswith("{") else text

    def ids(self, text):
        return self.post("/tokenize", {"prompt": text, "add_special_tokens": False})[1]["tokens"]


class Lengths(Parameters):
    def test_stops(self):
        text = self.complete().choices[0].text
        with_stop = self.complete(stop=[text[5:9]], extra_body={"include_stop_str_in_output": True}).choices[0]
        self.assertEqual((with_stop.text, with_stop.finish_reason), (text[:9], "stop"))
        made = self.complete(logprobs=0).choices[0].logprobs.tokens
        ids = [i for token in made[:4] for i in self.ids(token)[-1:]]
        by_id = self.complete(extra_body={"stop_token_ids": ids[-1:]}).choices[0]
        self.assertEqual(by_id.finish_reason, "stop")
        self.assertTrue(text.startswith(by_id.text) and len(by_id.text) < len(text))

    def test_end_of_text(self):
        end = 2
        self.assertEqual(self.complete(logit_bias={str(end): 100}).choices[0].finish_reason, "stop")
        self.assertEqual(self.complete(logit_bias={str(end): 100}).usage.completion_tokens, 1)
        longer = self.complete(logit_bias={str(end): 100}, extra_body={"min_tokens": 6})
        self.assertEqual(longer.usage.completion_tokens, 7)
        ignored = self.complete(logit_bias={str(end): 100}, extra_body={"ignore_eos": True})
        self.assertEqual((ignored.usage.completion_tokens, ignored.choices[0].finish_reason), (12, "length"))
        shown = self.complete(logit_bias={str(end): 100}, extra_body={"ignore_eos": True, "skip_special_tokens": False})
        self.assertIn("</s>", shown.choices[0].text)
        self.assertNotIn("</s>", ignored.choices[0].text)

    def test_special_tokens_of_the_prompt(self):
        with_bos = self.complete().usage.prompt_tokens
        self.assertEqual(self.complete(extra_body={"add_special_tokens": False}).usage.prompt_tokens, with_bos - 1)

    def test_usage(self):
        prompt = STORY + " girl named Lily. She loved to play outside in the park with her friends. " * 2
        self.complete(prompt, extra_body={"cache_salt": "a"})
        again = self.complete(prompt, extra_body={"cache_salt": "a"}).usage
        self.assertGreater(again.prompt_tokens_details.cached_tokens, 0)
        other = self.complete(prompt, extra_body={"cache_salt": "b"}).usage
        self.assertEqual(other.prompt_tokens_details.cached_tokens, 0)
        counts = [c.usage.completion_tokens for c in self.complete(stream=True, extra_body={
            "stream_options": {"include_usage": True, "continuous_usage_stats": True}})]
        self.assertEqual((counts, counts[-1]), (sorted(counts), 12))


class Samplers(Parameters):
    def text(self, **extra):
        return self.complete(max_tokens=24, extra_body=extra).choices[0].text

    def test_one_candidate_is_greedy(self):
        """At any temperature, what leaves only the likeliest token gives the likeliest text."""
        greedy = self.text()
        for extra in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-5}):
            self.assertEqual(self.text(**{"temperature": 3.0, "seed": 1, **extra}), greedy, extra)
        self.assertNotEqual(self.text(temperature=3.0, seed=1), greedy)

    def test_seeds(self):
        self.assertEqual(self.text(temperature=1.0, seed=5), self.text(temperature=1.0, seed=5))
        self.assertGreater(len({self.text(temperature=1.0, seed=i) for i in range(5)}), 2)
        self.assertGreater(len({self.text(temperature=1.0) for i in range(5)}), 2)

    def test_penalties_and_dry(self):
        loop = "the cat the cat the cat the cat the cat the"
        plain = self.complete(loop, max_tokens=20, logprobs=0).choices[0].logprobs.tokens
        for extra in ({"repetition_penalty": 5.0}, {"frequency_penalty": 2.0, "presence_penalty": 2.0},
                      {"dry_multiplier": 50.0, "dry_allowed_length": 1}):
            other = self.complete(loop, max_tokens=20, logprobs=0, extra_body=extra).choices[0].logprobs.tokens
            self.assertNotEqual(other, plain, extra)
        self.assertEqual(self.complete(loop, max_tokens=20, logprobs=0, extra_body={
            "dry_multiplier": 0, "repetition_penalty": 1.0}).choices[0].logprobs.tokens, plain)

    def test_xtc_typical_and_mirostat(self):
        greedy = self.text()
        two = {"temperature": 1.0, "top_k": 2, "xtc_threshold": 0.0}  # of two, the likelier one is left out
        second = {self.text(**two, xtc_probability=1.0, seed=seed) for seed in range(3)}
        self.assertEqual((len(second), greedy in second), (1, False))
        self.assertGreater(len({self.text(**two, xtc_probability=0.0, seed=seed) for seed in range(5)}), 1)
        for extra in ({"typical_p": 0.5}, {"mirostat": 1, "mirostat_tau": 2.0, "mirostat_eta": 0.2},
                      {"mirostat_mode": 2, "mirostat_tau": 2.0}):
            self.assertEqual(self.text(temperature=1.0, seed=3, **extra), self.text(temperature=1.0, seed=3, **extra), extra)

    def test_branches(self):
        chat = self.chat(n=3, temperature=1.0, seed=2, logprobs=True, top_logprobs=2)
        self.assertEqual([c.index for c in chat.choices], [0, 1, 2])
        self.assertEqual({len(c.logprobs.content) for c in chat.choices}, {12})
        short, long = (self.complete(n=2, max_tokens=30, extra_body={
            "use_beam_search": True, "best_of": 4, "length_penalty": p}).choices[0].text for p in (0.1, 3.0))
        self.assertTrue(short and long)

    def test_what_would_be_ignored_is_refused(self):
        for fields in ({"suffix": "x"}, {"extra_body": {"no_such_field": 1}}, {"extra_body": {"temprature": 1}},
                       {"best_of": 2, "n": 1, "stream": True}, {"extra_body": {"use_beam_search": True, "top_k": 4}},
                       {"logit_bias": {"999999": 1}}, {"temperature": -1}, {"top_p": 0}, {"max_tokens": 5000}):
            with self.assertRaises(openai.BadRequestError, msg=fields) as refused:
                self.complete(**fields)
            name = next(iter(fields.get("extra_body", fields)))
            self.assertIn(refused.exception.param, {name, "best_of", "top_k", "use_beam_search", "prompt"}, fields)


class Shapes(Parameters):
    def test_json(self):
        chat = self.chat(max_tokens=200, temperature=1.0, seed=1, response_format={
            "type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}})
        person = json.loads(chat.choices[0].message.content)
        self.assertEqual((set(person), type(person["age"])), ({"name", "age"}, int))
        free = self.chat(max_tokens=400, seed=2, response_format={"type": "json_object"}).choices[0]
        if free.finish_reason == "stop":
            self.assertIsInstance(json.loads(free.message.content), dict)
        with self.assertRaises(openai.BadRequestError) as refused:
            self.chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"not": {}}}})
        self.assertIn("not", str(refused.exception))

    def test_structured_outputs(self):
        for shape, pattern in (({"choice": ["red", "green"]}, r"red|green"), ({"regex": "[ab]{3}-[0-9]{2}"}, r"[ab]{3}-\d\d"),
                               ({"grammar": 'root ::= "x" [yz]+ "."'}, r"x[yz]+\."),
                               ({"json": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}}, r"\[[\s\S]*\]")):
            for seed in range(3):
                text = self.complete(temperature=1.0, seed=seed, max_tokens=100, logit_bias={}, extra_body={
                    "structured_outputs": shape}).choices[0]
                if text.finish_reason == "stop":
                    self.assertRegex(text.text, f"^(?:{pattern})$")
        for old, shape in ({"guided_choice": ["one", "two"]}, "one|two"), ({"guided_regex": "[01]{4}"}, "[01]{4}"):
            self.assertRegex(self.complete(extra_body=old).choices[0].text, f"^(?:{shape})$")

    def test_tools(self):
        for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
            fields = dict(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False, max_tokens=100)
            whole = self.chat(**fields).choices[0]
            call, = whole.message.tool_calls
            self.assertEqual(call.function.name, "weather")
            self.assertIn(json.loads(call.function.arguments)["city"], ("Oslo", "Rome"))
            self.assertEqual(whole.finish_reason, "tool_calls" if choice == "required" else "stop")
            name, arguments = "", ""
            for chunk in self.chat(stream=True, **fields):
                for delta in chunk.choices[0].delta.tool_calls or []:
                    name += delta.function.name or ""
                    arguments += delta.function.arguments or ""
            self.assertEqual((name, arguments), ("weather", call.function.arguments))
        self.assertIsNone(self.chat(tools=[WEATHER], tool_choice="none").choices[0].message.tool_calls)
        self.assertEqual(self.chat(tools=[WEATHER], tool_choice="auto").usage.completion_tokens, 12)


class Chats(Parameters):
    def test_templates(self):
        messages = [{"role": "user", "content": STORY}, {"role": "assistant", "content": "girl who"}]
        shown = self.post("/apply-template", {"messages": messages[:1], "chat_template_kwargs": {"shout": "HEY"}})[1]
        self.assertEqual(shown["prompt"], f"user: {STORY}\nHEYassistant:")
        loud = self.chat(extra_body={"chat_template_kwargs": {"shout": "HEY "}}).usage.prompt_tokens
        self.assertGreater(loud, self.chat().usage.prompt_tokens)
        goes_on = self.client.chat.completions.create(
            model="stories260k", messages=messages, temperature=0, max_tokens=8,
            extra_body={"continue_final_message": True, "add_generation_prompt": False}).choices[0].message.content
        text = f"user: {STORY}\nassistant: girl who"
        plain = self.complete(text, max_tokens=8, extra_body={"add_special_tokens": False})
        self.assertEqual(goes_on, plain.choices[0].text)

    def test_ids_and_fingerprints(self):
        answer, body = self.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1,
                                                          "priority": 3, "user": "u", "metadata": {"a": "b"}},
                                 {"X-Request-Id": "mine-1"})
        self.assertEqual(answer.headers["X-Request-Id"], "mine-1")
        self.assertIn("mine-1", body["id"])
        self.assertRegex(body["system_fingerprint"], r"^[0-9a-f]{8,}$")
        self.assertEqual(self.complete().system_fingerprint, body["system_fingerprint"])

    def test_anthropic(self):
        client = anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0)
        fields = dict(model="stories260k", system=[{"type": "text", "text": "be"}],
                      messages=[{"role": "user", "content": [{"type": "text", "text": STORY}]}])
        whole = client.messages.create(max_tokens=9, extra_body={"temperature": 0}, **fields)
        self.assertEqual((whole.stop_reason, whole.usage.output_tokens), ("max_tokens", 9))
        stop = whole.content[0].text[3:6]
        short = client.messages.create(max_tokens=9, stop_sequences=[stop], extra_body={"temperature": 0}, **fields)
        self.assertEqual((short.stop_reason, short.stop_sequence), ("stop_sequence", stop))
        self.assertEqual(client.messages.count_tokens(**fields).input_tokens,
                         whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0))
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=server.url, api_key="wrong", max_retries=0).messages.create(max_tokens=9, **fields)
        with self.assertRaises(anthropic.BadRequestError):
            client.messages.create(max_tokens=9, extra_body={"no_such_field": 1}, **fields)

    def test_langchain(self):
        chat = langchain_openai.ChatOpenAI(model="stories260k", base_url=server.url + "/v1", api_key="secret", temperature=0,
                                           max_tokens=8, seed=1, top_p=0.9, stop=["zzz"], logprobs=True, top_logprobs=2,
                                           extra_body={"top_k": 5})
        one = chat.invoke(STORY)
        self.assertEqual(one.usage_metadata["output_tokens"], 8)
        self.assertEqual(len(one.response_metadata["logprobs"]["content"]), 8)
        self.assertEqual([m.content for m in chat.batch([STORY, STORY])], [one.content] * 2)

        async def streamed():
            return "".join([piece.content async for piece in chat.astream(STORY)])
        self.assertEqual(asyncio.run(streamed()), one.content)
        longer = langchain_openai.ChatOpenAI(model="stories260k", base_url=server.url + "/v1", api_key="secret",
                                             temperature=0, max_tokens=200)
        person = longer.with_structured_output({"title": "person", **PERSON}, method="json_schema").invoke(STORY)
        self.assertEqual(set(person), {"name", "age"})
        calls = longer.bind_tools([WEATHER], tool_choice="required", parallel_tool_calls=False).invoke(STORY).tool_calls
        self.assertEqual(calls[0]["name"], "weather")


class OtherServers(Parameters):
    def test_llama_server(self):
        fields = {"prompt": STORY, "n_predict": 8, "temperature": 0}
        whole = self.post("/completion", {**fields, "n_probs": 2, "return_tokens": True})[1]
        self.assertEqual((whole["tokens_predicted"], whole["stop_type"], len(whole["tokens"])), (8, "limit", 8))
        self.assertEqual(len(whole["completion_probabilities"][0]["top_logprobs"]), 2)
        stream = self.post("/completion", {**fields, "stream": True})[1]
        events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
        self.assertEqual("".join(e["content"] for e in events), whole["content"])
        self.assertTrue(events[-1]["stop"] and events[-1]["timings"]["predicted_n"] == 8)
        self.assertRegex(self.post("/completion", {**fields, "grammar": 'root ::= [ab]+'})[1]["content"], "^[ab]+$")
        ids = self.post("/tokenize", {"content": STORY, "with_pieces": False})[1]["tokens"]
        self.assertEqual(self.post("/detokenize", {"tokens": ids})[1].keys() & {"content", "prompt"}, {"content", "prompt"})

    def test_tgi(self):
        fields = {"inputs": STORY, "parameters": {"max_new_tokens": 8, "details": True, "top_n_tokens": 2,
                                                  "decoder_input_details": True, "return_full_text": True}}
        whole = self.post("/generate", fields)[1]
        self.assertTrue(whole["generated_text"].startswith(STORY))
        self.assertEqual(len(whole["details"]["top_tokens"][0]), 2)
        self.assertGreater(len(whole["details"]["prefill"]), 5)
        stream = self.post("/generate_stream", {"inputs": STORY, "parameters": {"max_new_tokens": 8}})[1]
        events = [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]
        self.assertEqual(len(events), 8)
        self.assertEqual(STORY + events[-1]["generated_text"], whole["generated_text"])
        sampled = {"inputs": STORY, "parameters": {"max_new_tokens": 8, "do_sample": True, "seed": 4, "temperature": 1.5,
                                                   "best_of": 2, "repetition_penalty": 1.1, "stop": ["zzz"]}}
        self.assertEqual(self.post("/generate", sampled)[1], self.post("/generate", sampled)[1])
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.post("/generate", {"inputs": STORY, "parameters": {"max_new_tokens": 0}})
        self.assertEqual(refused.exception.code, 422)
        self.assertEqual(json.loads(refused.exception.read())["error_type"], "validation")

    def test_plain(self):
        text = self.client.models.with_raw_response.list().text
        self.assertEqual(json.loads(text)["data"][0]["id"], "stories260k")
        metrics = urllib.request.urlopen(server.url + "/metrics").read().decode()
        for name in ("num_requests_running", "generation_tokens_total", "time_to_first_token_seconds_bucket",
                     "request_success_total"):
            self.assertTrue(re.search("^vllm:" + re.escape(name), metrics, re.M), name)
        self.assertIn('finished_reason="length"', metrics)
        for path in ("/v1/audio/transcriptions", "/v1/load_lora_adapter"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.post(path, {})
            self.assertEqual(refused.exception.code, 501, path)


def main():
    global server
    options = programs.arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        server = serving.Server(options.llmrt, artifact, "--port", 0, "--api-key", "secret", "--chat-template", TEMPLATE)
        with server:
            result = unittest.main(argv=[sys.argv[0]], exit=False, verbosity=1).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

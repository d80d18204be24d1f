"""Every endpoint and parameter with the clients that people have: openai, and langchain_openai and anthropic where they
are installed, against a real model. Run by scripts/check-serve, which has the virtual environment."""
import asyncio
import json
import pathlib
import sys
import tempfile
import unittest
import urllib.request

import openai

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import programs  # noqa: E402
import serving  # noqa: E402

TEMPLATE = ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}")
STORY = "Once upon a time, there was a little"
WEATHER = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"],
           "additionalProperties": False}
server = None


class Tour(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=server.url + "/v1", api_key="secret", max_retries=0)
        self.model = self.client.models.list().data[0].id

    def complete(self, prompt=STORY, **fields):
        return self.client.completions.create(model=self.model, prompt=prompt, **{"max_tokens": 12, "temperature": 0,
                                                                                  **fields})

    def post(self, path, body, headers=None):
        request = urllib.request.Request(server.url + path, json.dumps(body).encode(),
                                         {"Authorization": "Bearer secret", **(headers or {})})
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def test_completions(self):
        whole = self.complete()
        self.assertEqual(whole.usage.completion_tokens, 12)
        self.assertEqual(whole.choices[0].finish_reason, "length")
        text, usage = "", None
        for chunk in self.complete(stream=True, stream_options={"include_usage": True}):
            text += chunk.choices[0].text if chunk.choices else ""
            usage = chunk.usage or usage
        self.assertEqual(text, whole.choices[0].text)
        self.assertEqual(usage.prompt_tokens, whole.usage.prompt_tokens)
        ids = self.post("/tokenize", {"prompt": STORY})["tokens"]
        self.assertEqual(self.complete(prompt=ids).choices[0].text, whole.choices[0].text)
        self.assertEqual([c.text for c in self.complete(prompt=[STORY, STORY]).choices], [text, text])
        self.assertEqual(self.complete(echo=True).choices[0].text, STORY + text)
        stopped = self.complete(stop=[text[5:9]]).choices[0]
        self.assertEqual((stopped.text, stopped.finish_reason), (text[:5], "stop"))

    def test_branches_of_one_prompt(self):
        fields = dict(n=4, temperature=1.0, seed=5, max_tokens=20)
        first = [c.text for c in self.complete(**fields).choices]
        self.assertEqual(first, [c.text for c in self.complete(**fields).choices])
        self.assertGreater(len(set(first)), 1)
        streamed = [""] * 4
        for chunk in self.complete(stream=True, **fields):
            for choice in chunk.choices:
                streamed[choice.index] += choice.text
        self.assertEqual(streamed, first)
        best = self.complete(n=1, best_of=4, temperature=1.0, seed=5, max_tokens=20, logprobs=0)
        self.assertIn(best.choices[0].text, first)

    def test_beam_search(self):
        def score(choice):
            return sum(choice.logprobs.token_logprobs)
        beams = self.complete(n=3, max_tokens=8, logprobs=0, extra_body={"use_beam_search": True}).choices
        greedy = self.complete(max_tokens=8, logprobs=0).choices[0]
        self.assertEqual(len({c.text for c in beams}), 3)
        self.assertGreaterEqual(score(beams[0]) + 1e-4, score(greedy))
        self.assertGreaterEqual(score(beams[0]), score(beams[2]))

    def test_logprobs(self):
        greedy = self.complete(logprobs=3).choices[0].logprobs
        self.assertEqual(len(greedy.tokens), 12)
        for token, value, top in zip(greedy.tokens, greedy.token_logprobs, greedy.top_logprobs):
            self.assertEqual(top[token], max(top.values()))
            self.assertEqual(value, top[token])
        echoed = self.complete(echo=True, logprobs=0, max_tokens=3).choices[0].logprobs
        self.assertIsNone(echoed.token_logprobs[0])
        self.assertTrue(all(v <= 0 for v in echoed.token_logprobs[1:]))
        scored = self.complete(max_tokens=1, extra_body={"prompt_logprobs": 2}).choices[0].prompt_logprobs
        self.assertIsNone(scored[0])
        self.assertAlmostEqual(list(scored[1].values())[0]["logprob"], echoed.token_logprobs[1], places=5)

    def test_samplers_and_bias(self):
        for extra in ({"top_k": 5, "min_p": 0.05}, {"typical_p": 0.9}, {"dry_multiplier": 0.8},
                      {"xtc_probability": 0.5, "xtc_threshold": 0.1}, {"mirostat": 2, "mirostat_tau": 3},
                      {"repetition_penalty": 1.2, "min_tokens": 5}):
            fields = dict(temperature=0.8, seed=3, top_p=0.95, extra_body=extra)
            self.assertEqual(self.complete(**fields).choices[0].text, self.complete(**fields).choices[0].text, extra)
        token = self.post("/tokenize", {"prompt": " cat", "add_special_tokens": False})["tokens"][0]
        forced = self.complete(max_tokens=2, logit_bias={str(token): 100}, logprobs=0)
        self.assertEqual(len(set(forced.choices[0].logprobs.tokens)), 1)

    def test_embeddings(self):
        given = self.client.embeddings.create(model=self.model, input=[STORY, "A cat"])  # asks for base64
        self.assertEqual([one.index for one in given.data], [0, 1])
        for one in given.data:
            self.assertAlmostEqual(sum(x * x for x in one.embedding), 1, places=5)
        short = self.client.embeddings.create(model=self.model, input=STORY, dimensions=8, encoding_format="float")
        self.assertEqual(len(short.data[0].embedding), 8)
        self.assertEqual(short.usage.prompt_tokens, len(self.post("/tokenize", {"prompt": STORY})["tokens"]))

    def test_chat(self):
        messages = [{"role": "system", "content": "be"}, {"role": "user", "content": [{"type": "text", "text": STORY}]}]
        fields = dict(model=self.model, messages=messages, temperature=0, max_completion_tokens=10)
        whole = self.client.chat.completions.create(logprobs=True, top_logprobs=20, **fields)
        self.assertEqual(whole.choices[0].message.role, "assistant")
        self.assertEqual(len(whole.choices[0].logprobs.content), 10)
        self.assertEqual(len(whole.choices[0].logprobs.content[0].top_logprobs), 20)
        text = "".join(c.choices[0].delta.content or "" for c in
                       self.client.chat.completions.create(stream=True, **fields))
        self.assertEqual(text, whole.choices[0].message.content)

    def test_responses(self):
        fields = dict(model=self.model, input=STORY, instructions="be", temperature=0, max_output_tokens=10)
        whole = self.client.responses.create(**fields)
        self.assertEqual(whole.status, "incomplete")
        self.assertEqual(whole.usage.output_tokens, 10)
        text, names = "", []
        for event in self.client.responses.create(stream=True, **fields):
            names.append(event.type)
            text += event.delta if event.type == "response.output_text.delta" else ""
        self.assertEqual(text, whole.output_text)
        self.assertEqual((names[0], names[-1]), ("response.created", "response.incomplete"))
        with self.assertRaises(openai.BadRequestError) as refused:
            self.client.responses.create(previous_response_id="resp_1", **fields)
        self.assertEqual(refused.exception.param, "previous_response_id")

    def test_async_streams_equal_those_alone(self):
        prompts = [STORY + word for word in (" girl", " boy", " dog", " cat", " bird", " fish")]
        alone = [self.complete(prompt=p, max_tokens=30).choices[0].text for p in prompts]

        async def one(client, prompt):
            stream = await client.completions.create(model=self.model, prompt=prompt, max_tokens=30, temperature=0,
                                                     stream=True)
            return "".join([c.choices[0].text async for c in stream if c.choices])

        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="secret") as client:
                return await asyncio.gather(*(one(client, p) for p in prompts * 4))
        self.assertEqual(asyncio.run(all_of_them()), alone * 4)

    def test_messages(self):
        body = {"model": self.model, "max_tokens": 9, "temperature": 0, "system": "be",
                "messages": [{"role": "user", "content": STORY}]}
        whole = self.post("/v1/messages", body)
        self.assertEqual((whole["type"], whole["stop_reason"]), ("message", "max_tokens"))
        counted = self.post("/v1/messages/count_tokens", {k: body[k] for k in ("model", "system", "messages")})
        usage = whole["usage"]
        self.assertEqual(usage["input_tokens"] + usage["cache_read_input_tokens"], counted["input_tokens"])
        try:
            import anthropic
        except ImportError:
            return print("anthropic is not installed: its client was not tried", file=sys.stderr)
        client = anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0)
        rest = {k: v for k, v in body.items() if k != "temperature"}
        with client.messages.stream(**rest, extra_body={"temperature": 0}) as stream:
            self.assertEqual("".join(stream.text_stream), whole["content"][0]["text"])

    def test_tools_of_responses(self):
        tools = [{"type": "function", "name": "weather", "parameters": WEATHER}]
        fields = dict(model=self.model, tools=tools, temperature=0, max_output_tokens=60)
        forced = dict(fields, input=STORY, tool_choice="required", parallel_tool_calls=False)
        call = self.client.responses.create(**forced).output[0]
        self.assertEqual((call.type, call.name), ("function_call", "weather"))
        self.assertIn(json.loads(call.arguments)["city"], ("Rome", "Oslo"))
        deltas = [event.delta for event in self.client.responses.create(stream=True, **forced)
                  if event.type == "response.function_call_arguments.delta"]
        self.assertEqual("".join(deltas), call.arguments)
        turns = [{"role": "user", "content": STORY}, call,
                 {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        self.assertTrue(self.client.responses.create(input=turns, **fields).output_text)

    def test_tools_of_messages(self):
        try:
            import anthropic
        except ImportError:
            return print("anthropic is not installed: its client was not tried", file=sys.stderr)
        client = anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0)
        turns = [{"role": "user", "content": STORY}]
        fields = dict(model=self.model, max_tokens=60, tools=[{"name": "weather", "input_schema": WEATHER}],
                      extra_body={"temperature": 0})
        forced = dict(fields, messages=turns, tool_choice={"type": "any", "disable_parallel_tool_use": True})
        whole = client.messages.create(**forced)
        self.assertEqual((whole.stop_reason, whole.content[0].type), ("tool_use", "tool_use"))
        self.assertIn(whole.content[0].input["city"], ("Rome", "Oslo"))
        with client.messages.stream(**forced) as stream:
            self.assertEqual(stream.get_final_message().content[0].input, whole.content[0].input)
        turns += [{"role": "assistant", "content": whole.content},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": whole.content[0].id,
                                                "content": "sunny"}]}]
        self.assertTrue(client.messages.create(messages=turns, **fields).content)

    def test_other_servers_endpoints(self):
        text = self.complete(max_tokens=8).choices[0].text
        self.assertEqual(self.post("/completion", {"prompt": STORY, "n_predict": 8, "temperature": 0})["content"], text)
        answer = self.post("/generate", {"inputs": STORY, "parameters": {"max_new_tokens": 8, "details": True}})
        self.assertEqual(answer["generated_text"], text)
        self.assertEqual(len(answer["details"]["tokens"]), 8)

    def test_langchain(self):
        try:
            from langchain_openai import ChatOpenAI
        except ImportError:
            return print("langchain_openai is not installed: it was not tried", file=sys.stderr)
        chat = ChatOpenAI(model=self.model, base_url=server.url + "/v1", api_key="secret", temperature=0, max_tokens=8)
        whole = chat.invoke(STORY).content
        self.assertEqual("".join(piece.content for piece in chat.stream(STORY)), whole)

    def test_errors_are_the_clients(self):
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=server.url + "/v1", api_key="wrong").models.list()
        with self.assertRaises(openai.NotFoundError):
            self.client.completions.create(model="other", prompt="a")
        with self.assertRaises(openai.BadRequestError) as refused:
            self.complete(suffix="end")
        self.assertEqual(refused.exception.param, "suffix")
        with self.assertRaises(openai.BadRequestError):
            self.complete(prompt="a " * 5000)

    def test_plain_endpoints(self):
        for path in ("/health", "/ping", "/version", "/load", "/metrics", "/openapi.json", "/"):
            with urllib.request.urlopen(server.url + path) as answer:
                self.assertEqual(answer.status, 200, path)
        ids = self.post("/tokenize", {"prompt": STORY, "add_special_tokens": False})["tokens"]
        self.assertEqual(self.post("/detokenize", {"tokens": ids})["prompt"].strip(), STORY)


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

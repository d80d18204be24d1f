#!/usr/bin/env python3
"""With random weights every answer under a JSON schema parses and is valid: thousands of generated schemas, over two
kinds of tokenizers, checked by a validator of this file's own and, where it can be imported, by `jsonschema`."""
import concurrent.futures
import datetime
import http.client
import json
import random
import re
import signal
import subprocess

import programs

MODEL = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    "hidden_act": "silu", "initializer_range": 0.02, "torch_dtype": "float32",
}
NAMES = ["a", "id", "name", "the value", "é", "x\"y", "items", "ab", "abc", "_"]
PATTERNS = ["^[a-z]{1,5}$", "^\\d{3}-\\d{4}$", "^(yes|no|maybe \\w)$", "ab", "^x[^\"\\\\]{2,4}", "[A-Z]$"]
FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "email"]


class Maker:
    """Random schemas of what docs/structured.md lists."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.definitions = {}

    def schema(self):
        out = self.any(self.random.randrange(1, 4))
        if self.definitions:
            out = {"$defs": self.definitions, "allOf": [out]} if self.random.random() < 0.2 and out is not True \
                else {**out, "$defs": self.definitions}
        return out

    def any(self, depth):
        pick = self.random.random()
        if depth <= 0 or pick < 0.35:
            return self.scalar()
        if pick < 0.7:
            return self.object(depth)
        if pick < 0.85:
            return self.array(depth)
        if pick < 0.93:
            return {"anyOf": [self.any(depth - 1) for _ in range(self.random.randrange(1, 4))]}
        if pick < 0.96:
            return self.one_of(depth)
        return self.reference(depth)

    def scalar(self):
        return self.random.choice([self.string, self.string, self.integer, self.number, self.listed, self.plain])()

    def plain(self):
        return {"type": self.random.choice(["boolean", "null", ["string", "null"], ["integer", "boolean"]])}

    def listed(self):
        values = ["red", 1, -2.5, None, True, "a\"b\\c", [1, {"k": "v"}], {"x": []}, "é\n"]
        if self.random.random() < 0.3:
            return {"const": self.random.choice(values)}
        return {"enum": self.random.sample(values, self.random.randrange(1, 6))}

    def string(self):
        pick = self.random.random()
        if pick < 0.25:
            return {"type": "string", "pattern": self.random.choice(PATTERNS)}
        if pick < 0.45:
            return {"type": "string", "format": self.random.choice(FORMATS)}
        low = self.random.randrange(0, 4)
        return {"type": "string", "minLength": low, "maxLength": low + self.random.choice([0, 1, 5, 30])}

    def bounds(self, value):
        out = {}
        if self.random.random() < 0.7:
            out[self.random.choice(["minimum", "exclusiveMinimum"])] = value()
        if self.random.random() < 0.7:
            low = max(out.values(), default=value())
            out[self.random.choice(["maximum", "exclusiveMaximum"])] = round(low + 2 + abs(value()), 2)
        return out

    def integer(self):
        return {"type": "integer", **self.bounds(lambda: self.random.randrange(-300, 300))}

    def number(self):
        return {"type": "number", **self.bounds(lambda: self.random.randrange(-3000, 3000) / 100)}

    def object(self, depth):
        names = self.random.sample(NAMES, self.random.randrange(0, 5))
        out = {"type": "object"}
        if names:
            out["properties"] = {name: self.any(depth - 1) for name in names}
            out["required"] = [name for name in names if self.random.random() < 0.6]
        pick = self.random.random()
        if pick < 0.3:
            out["additionalProperties"] = False
        elif pick < 0.45:
            out["additionalProperties"] = self.scalar()
        if not names:
            out["additionalProperties"] = self.scalar()
            out["maxProperties"] = self.random.randrange(0, 4)
        return out

    def array(self, depth):
        out = {"type": "array", "items": self.any(depth - 1), "maxItems": self.random.randrange(1, 4)}
        if self.random.random() < 0.3:
            out["minItems"] = self.random.randrange(0, out["maxItems"] + 1)
        if self.random.random() < 0.2:
            out["prefixItems"] = [self.any(depth - 1) for _ in range(self.random.randrange(1, 3))]
            out["maxItems"] += 2
        return out

    def one_of(self, depth):
        return {"oneOf": [{"type": "object", "required": ["kind"], "additionalProperties": False,
                           "properties": {"kind": {"const": kind}, "v": self.any(depth - 1)}} for kind in ("p", "q", "r")]}

    def reference(self, depth):
        name = f"d{len(self.definitions)}"
        self.definitions[name] = True
        self.definitions[name] = {"type": "object", "required": ["v"], "properties": {
            "v": self.any(depth - 1), "next": {"anyOf": [{"type": "null"}, {"$ref": f"#/$defs/{name}"}]}}}
        return {"$ref": f"#/$defs/{name}"}


def equal(a, b):
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True) and isinstance(a, bool) == isinstance(b, bool)


def is_type(value, name):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"object": isinstance(value, dict), "array": isinstance(value, list), "string": isinstance(value, str),
            "boolean": isinstance(value, bool), "null": value is None, "number": number,
            "integer": number and value == int(value)}[name]


def is_format(value, name):
    try:
        if name == "date":
            datetime.date.fromisoformat(value)
        elif name in ("date-time", "time"):
            text = value.replace("Z", "+00:00")
            text = re.sub(r"\.(\d+)", lambda m: "." + m.group(1).ljust(6, "0"), text)
            (datetime.datetime if name == "date-time" else datetime.time).fromisoformat(text)
        elif name == "uuid":
            return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None
        elif name == "ipv4":
            return len(value.split(".")) == 4 and all(0 <= int(part) <= 255 for part in value.split("."))
        elif name == "email":
            return "@" in value[1:-1]
        return True
    except ValueError:
        return False


def is_valid(value, schema, root):
    """JSON Schema 2020-12, as far as Maker goes."""
    if isinstance(schema, bool):
        return schema
    checks = {
        "$ref": lambda want: is_valid(value, root["$defs"][want.split("/")[-1]], root),
        "allOf": lambda want: all(is_valid(value, one, root) for one in want),
        "anyOf": lambda want: any(is_valid(value, one, root) for one in want),
        "oneOf": lambda want: sum(is_valid(value, one, root) for one in want) == 1,
        "type": lambda want: any(is_type(value, one) for one in (want if isinstance(want, list) else [want])),
        "const": lambda want: equal(value, want),
        "enum": lambda want: any(equal(value, one) for one in want),
    }
    if isinstance(value, str):
        checks |= {"minLength": lambda want: len(value) >= want, "maxLength": lambda want: len(value) <= want,
                   "pattern": lambda want: re.search(want, value) is not None, "format": lambda want: is_format(value, want)}
    if is_type(value, "number"):
        checks |= {"minimum": lambda want: value >= want, "maximum": lambda want: value <= want,
                   "exclusiveMinimum": lambda want: value > want, "exclusiveMaximum": lambda want: value < want}
    if isinstance(value, list):
        fixed = len(schema.get("prefixItems", []))
        checks |= {"minItems": lambda want: len(value) >= want, "maxItems": lambda want: len(value) <= want,
                   "prefixItems": lambda want: all(is_valid(one, item, root) for one, item in zip(value, want)),
                   "items": lambda want: all(is_valid(one, want, root) for one in value[fixed:])}
    if isinstance(value, dict):
        named = schema.get("properties", {})
        checks |= {"required": lambda want: all(name in value for name in want),
                   "maxProperties": lambda want: len(value) <= want,
                   "properties": lambda want: all(is_valid(value[name], want[name], root) for name in want if name in value),
                   "additionalProperties": lambda want: all(is_valid(value[name], want, root) for name in value
                                                            if name not in named)}
    return all(check(schema[keyword]) for keyword, check in checks.items() if keyword in schema)


def second_opinion():
    try:
        import jsonschema
    except ImportError:
        return None
    return lambda value, schema: jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).is_valid(value)


class Server:
    def __init__(self, options, artifact):
        self.process = subprocess.Popen([options.llmrt, "serve", artifact, "--port", "0", "--max-num-seqs", "8"],
                                        stderr=subprocess.PIPE, text=True)
        line = ""
        for line in self.process.stderr:
            if line.startswith("listening on "):
                break
        self.port = int(line.rsplit(":", 1)[1])

    def ask(self, body, path="/v1/completions"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def make_artifact(options, work, tokenizer):
    folder = work / tokenizer
    folder.mkdir(exist_ok=True)
    source = programs.ROOT / "test/golden/tokenizers" / f"{tokenizer}.json"
    (folder / "tokenizer.json").write_text(source.read_text())
    vocabulary = json.loads(source.read_text())["model"]["vocab"]
    size = max(vocabulary.values()) + 1 if isinstance(vocabulary, dict) else len(vocabulary)
    added = max([token["id"] for token in json.loads(source.read_text())["added_tokens"]] + [0]) + 1
    size = max(size, added)
    (folder / "config.json").write_text(json.dumps({**MODEL, "vocab_size": size, "bos_token_id": 1, "eos_token_id": 2}))
    artifact = work / f"{tokenizer}.fbs"
    programs.run(options.llmc, "compile", folder, "--weights", "random:3", "-o", artifact, "-q", "--cpu-tier",
                 "x86-64-v3" if programs.machine_tiers()[0].startswith("x86") else programs.machine_tiers()[0])
    return artifact


def check_one(server, bias, seed, opinion):
    """'' if the answer is right, 'long' if it came to no end, else what is wrong."""
    schema = Maker(seed).schema()
    status, answer = server.ask({"prompt": "JSON: ", "max_tokens": 1500, "temperature": 1, "seed": seed, "guided_json": schema,
                                 "logit_bias": bias})
    if status != 200:
        message = answer["error"]["message"]
        return "never" if "matches nothing" in message else f"{seed}: {status} {message}: {json.dumps(schema)}"
    choice = answer["choices"][0]
    if choice["finish_reason"] == "length":
        return "long"
    try:
        value = json.loads(choice["text"])
    except ValueError as error:
        return f"{seed}: {error}: {choice['text']!r} for {json.dumps(schema)}"
    if not is_valid(value, schema, schema):
        return f"{seed}: not valid: {choice['text']!r} for {json.dumps(schema)}"
    if opinion and not opinion(value, schema):
        return f"{seed}: jsonschema says not valid: {choice['text']!r} for {json.dumps(schema)}"
    return ""


def check_shapes(server, tally):
    for fields, fits in (({"guided_regex": "[a-c]{2,40}-\\d+"}, lambda t: re.fullmatch(r"[a-c]{2,40}-\d+", t)),
                         ({"guided_choice": ["left", "right é"]}, lambda t: t in ("left", "right é")),
                         ({"guided_grammar": "root ::= \"(\" root \")\" | [0-9]{1,9}"},
                          lambda t: re.fullmatch(r"\(*\d{1,9}\)*", t) and t.count("(") == t.count(")")),
                         ({"guided_grammar": "start: WORD (\",\" WORD)~2\n%import common.WORD"},
                          lambda t: re.fullmatch(r"[A-Za-z]+(,[A-Za-z]+){2}", t))):
        for seed in range(10):
            status, answer = server.ask({"prompt": "x", "max_tokens": 1500, "seed": seed, **fields})
            choice = answer["choices"][0] if status == 200 else {}
            good = choice.get("finish_reason") == "length" or bool(choice and fits(choice["text"]))
            tally.check(good, f"{fields}: {status} {choice.get('text', answer)!r}")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--count", type=int, default=60, help="schemas for each tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    work, tally, opinion = programs.work_folder(options), programs.Tally(), second_opinion()
    for tokenizer in ("gpt2", "llama2"):
        server = Server(options, make_artifact(options, work, tokenizer))
        # Random weights end a string once in hundreds of tokens; what closes things is made likelier.
        bias = {}
        for text in ('"', "}", "]", '"}', '",'):
            ids = server.ask({"prompt": text, "add_special_tokens": False}, "/tokenize")[1]["tokens"]
            bias[str(ids[-1])] = 4
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda seed: check_one(server, bias, seed, opinion),
                                    range(options.seed * 100000, options.seed * 100000 + options.count)))
        for result in results:
            tally.check(result in ("", "long", "never"), result)
        whole = results.count("")
        tally.check(whole * 10 >= len(results) * 7, f"{tokenizer}: only {whole} of {len(results)} answers came to an end")
        check_shapes(server, tally)
        tally.check(server.stop() == 0, "the server did not end with 0")
        print(f"{tokenizer}: {whole} of {len(results)} answers are whole and valid, {results.count('long')} were cut at "
              f"their limit, {results.count('never')} schemas allow nothing; jsonschema "
              f"{'agrees' if opinion else 'is not installed'}")
    tally.finish()


if __name__ == "__main__":
    main()

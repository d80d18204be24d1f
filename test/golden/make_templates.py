#!/usr/bin/env python3
"""Golden texts of chat templates: Jinja's, in the environment that transformers renders them in.

make_templates.py OUTPUT [--few | --contexts FOLDER] TEMPLATE.jinja ...
    Writes OUTPUT/cases.jsonl: the conversations as {"case", "variables"} lines, then {"template", "of", "expected"}
    lines, or {"refused": message} where Python raises. A path is relative to OUTPUT where the template lies in it.
    --few takes a handful of the conversations; --contexts adds the variables in FOLDER's .json files.
make_templates.py OUTPUT --snippets
    The same for small templates that exercise one thing each, from make_snippets.py.
"""
import copy
import datetime
import json
import os
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

NOW = 1735689600  # strftime_now: 2025-01-01, UTC

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Gets the weather\nof a \"city\" – naïve.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city, e.g. 'Zürich' & <Genève>"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                    "days": {"type": "integer", "minimum": 1},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "run",
            "description": "Runs code.",
            "parameters": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "description": "Python"},
                    "files": {"type": "array", "items": {"type": "string"}, "description": "Names"},
                    "options": {
                        "type": "object",
                        "properties": {"timeout": {"type": "number"}, "verbose": {"type": "boolean"}},
                    },
                    "any": {"type": ["string", "null"]},
                },
                "required": ["code", "files"],
            },
            "return": {"type": "string"},
        },
    },
]


def call(name, arguments, number, as_text=False):
    arguments = json.dumps(arguments) if as_text else arguments
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def conversations():
    user, bot = "Hi, what's up?", "Not much — 你好 👋."
    plain = [{"role": "user", "content": user}]
    turns = plain + [{"role": "assistant", "content": bot}, {"role": "user", "content": "  Tell me\nmore. "}]
    system = [{"role": "system", "content": "You are\na test. "}]
    parts = [{"type": "text", "text": "What is in"}, {"type": "text", "text": " this?"}]
    image = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
    one_call = [{"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"city": "Zürich", "days": 2}, 1)]}]
    result = [{"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": '{"t": 20.5}'}]
    after = [{"role": "assistant", "content": "It is 20.5 degrees."}]
    two_calls = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("get_weather", {"city": "Bern"}, 1), call("run", {"code": "print('x')", "files": ["a", "b"], "options": {"verbose": True}}, 2)],
        }
    ]
    two_results = result + [{"role": "tool", "name": "run", "tool_call_id": "call00002", "content": "x\n"}]
    think = [{"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes", "reasoning_content": "let me see"}]
    yield "empty", {"messages": []}
    yield "user", {"messages": plain}
    yield "turns", {"messages": turns}
    yield "system", {"messages": system + turns}
    yield "two_systems", {"messages": system + plain + system}
    yield "assistant_first", {"messages": after + plain}
    yield "two_users", {"messages": plain + plain}
    yield "assistant_last", {"messages": plain + after}
    yield "system_only", {"messages": system}
    yield "parts", {"messages": [{"role": "user", "content": parts}]}
    yield "system_parts", {"messages": [{"role": "system", "content": parts}] + turns}
    yield "image", {"messages": [{"role": "user", "content": image}]}
    yield "no_content", {"messages": [{"role": "user"}]}
    yield "null_content", {"messages": plain + [{"role": "assistant", "content": None}]}
    yield "odd_role", {"messages": plain + [{"role": "critic", "content": "bad"}]}
    yield "developer", {"messages": [{"role": "developer", "content": "Be brief."}] + turns}
    yield "tools", {"messages": plain, "tools": TOOLS}
    yield "tools_system", {"messages": system + turns, "tools": TOOLS}
    yield "no_tools", {"messages": plain, "tools": None}
    yield "empty_tools", {"messages": plain, "tools": []}
    yield "call", {"messages": plain + one_call, "tools": TOOLS}
    yield "call_result", {"messages": system + plain + one_call + result, "tools": TOOLS}
    yield "call_result_after", {"messages": plain + one_call + result + after + plain, "tools": TOOLS}
    yield "two_calls", {"messages": plain + two_calls + two_results + after, "tools": TOOLS}
    as_text = copy.deepcopy(one_call)
    as_text[0]["tool_calls"][0]["function"]["arguments"] = json.dumps({"city": "Zürich"})
    yield "call_text_arguments", {"messages": plain + as_text + result, "tools": TOOLS}
    yield "call_without_tools", {"messages": plain + one_call + result + after}
    yield "call_with_content", {"messages": plain + [dict(one_call[0], content="Let me look.")] + result, "tools": TOOLS}
    yield "result_parts", {"messages": plain + one_call + [dict(result[0], content=[{"type": "text", "text": "sunny"}])], "tools": TOOLS}
    yield "result_object", {"messages": plain + one_call + [dict(result[0], content={"t": 1, "ok": True, "n": None})], "tools": TOOLS}
    yield "thinking", {"messages": plain + think + plain}
    yield "thinking_last", {"messages": plain + think}
    yield "thinking_on", {"messages": turns, "enable_thinking": True, "thinking": True, "reasoning_effort": "high"}
    yield "thinking_off", {"messages": turns, "enable_thinking": False, "thinking": False}
    yield "documents", {"messages": turns, "documents": [{"title": "A", "text": "Alpha", "doc_id": 1, "data": "x"}]}
    yield "date", {"messages": plain, "date_string": "26 Jul 2024", "builtin_tools": ["wolfram_alpha", "code_interpreter"], "tools": TOOLS, "tools_in_user_message": False}
    yield "bare_tool", {"messages": plain, "tools": [TOOLS[0]["function"]]}


def cases():
    for name, variables in conversations():
        for prompt in (False, True):
            full = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": prompt}
            full.update(variables)
            yield f"{name}{'+' if prompt else ''}", full


FEW = "empty turns+ system two_users assistant_last parts+ tools_system+ call_result_after+ two_calls thinking+".split()


def line(row):
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n"


def fixed_strftime(format):
    return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(format)


def render(source, variables):
    try:
        template = chat_template_utils._compile_jinja_template(source)
        template.environment.globals["strftime_now"] = fixed_strftime
        template.globals["strftime_now"] = fixed_strftime
        return {"expected": template.render(**copy.deepcopy(variables))}
    except Exception as error:  # whatever Python raises, a refusal it is
        return {"refused": f"{type(error).__name__}: {error}"[:300]}


def main():
    output, arguments = sys.argv[1], sys.argv[2:]
    os.makedirs(output, exist_ok=True)
    with open(os.path.join(output, "cases.jsonl"), "w") as out:
        made_by = f"jinja2 {jinja2.__version__}, transformers {transformers.__version__}"
        out.write(json.dumps({"made_by": made_by, "now": NOW}) + "\n")
        if arguments == ["--snippets"]:
            import make_snippets

            out.write(line({"case": "snippets", "variables": make_snippets.VARIABLES}))
            for source in make_snippets.SNIPPETS:
                row = {"source": source, "of": "snippets"}
                out.write(line(row | render(source, make_snippets.VARIABLES)))
            return
        known = dict(cases())
        if arguments[0] == "--few":
            arguments = arguments[1:]
            known = {name: known[name] for name in FEW}
        elif arguments[0] == "--contexts":
            for name in sorted(os.listdir(arguments[1])):
                if name.endswith(".json"):
                    known[name] = json.load(open(os.path.join(arguments[1], name)))
            arguments = arguments[2:]
        for name, variables in known.items():
            out.write(line({"case": name, "variables": variables}))
        for path in arguments:
            source = open(path, encoding="utf-8", newline="").read()
            shown = os.path.relpath(path, output) if os.path.abspath(path).startswith(os.path.abspath(output)) else os.path.abspath(path)
            for name, variables in known.items():
                out.write(line({"template": shown, "of": name} | render(source, variables)))


if __name__ == "__main__":
    main()

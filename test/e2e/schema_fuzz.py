"""schemathesis against the server's own /openapi.json: requests that follow the description and requests that do not. No
answer may be a 5xx, a status, a type or a shape that the description lacks; what breaks the description is refused; the
key is asked for. Run by scripts/check-serve, which has the virtual environment."""
import json
import pathlib
import subprocess
import sys
import tempfile

import bystanders
import programs
import serving

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
# What follows the description may still be refused: a schema cannot say which fields go together.
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
          "negative_data_rejection,unsupported_method,ignored_auth")


def description(server, folder):
    """The server's own, as a file. Made-up names of models would all be a 404; an empty one is none, as null is."""
    described = json.loads(server.ask("GET", "/openapi.json")[1])
    for path, operations in described["paths"].items():
        if "post" in operations and not path.startswith("/models/"):  # else the model would be unloaded
            fields = operations["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
            fields["model"] = {"enum": ["stories260k", "", None]}
    path = pathlib.Path(folder) / "openapi.json"
    path.write_text(json.dumps(described))
    return path


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long to go on")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = programs.Tally()
    st = pathlib.Path(sys.executable).parent / "st"
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        with serving.Server(options.llmrt, artifact, "--port", 0, "--chat-template", TEMPLATE, "--api-key", "secret",
                            "--max-model-len", 96, "--max-num-seqs", 16) as server:
            others = bystanders.OtherStreams(server, {"Authorization": "Bearer secret"})
            fuzz = subprocess.run(
                [st, "run", description(server, work), "--url", server.url, "-H", "Authorization: Bearer secret", "--checks", CHECKS,
                 "--max-time", str(options.seconds), "--seed", str(options.seed), "--workers", "1", "--continue-on-failure",
                 "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off",
                 "--request-timeout", "60", "--no-color"], cwd=work, capture_output=True, text=True)
            tally.check(fuzz.returncode == 0, "schemathesis found something")
            print(fuzz.stdout[-20000:] if fuzz.returncode else fuzz.stdout.strip().splitlines()[-1], fuzz.stderr[-2000:])
            others.finish(tally)
            tally.check(bystanders.metric(server, "vllm:kv_cache_usage_perc") == 0, "no page is lost")
            tally.check(server.end(15) == 0, "a clean end")
    tally.finish()


if __name__ == "__main__":
    main()

"""Every verb of llmrt but serve, as scripts use them."""
import json
import math
import pathlib
import unittest

from common import VOCABULARY, ArtifactTest, greedy, llmrt, logits_of, read_npy

IDS = [(5 * i + 1) % VOCABULARY for i in range(40)]
LIST = ",".join(map(str, IDS))


class Logits(ArtifactTest):
    def rows(self, *flags):
        output = self.path("x.npy")
        done = self.good("logits", self.artifact, *flags, "-o", output)
        self.assertEqual(done.stdout, "")
        return read_npy(output), done.stderr

    def expected(self, ids):
        return [logits_of(ids[:i + 1]) for i in range(len(ids))]

    def test_ids_inline_and_from_a_file(self):
        self.assertEqual(self.rows("--ids", LIST)[0], self.expected(IDS))
        file = self.write("ids.txt", LIST.replace(",", " \n"))
        self.assertEqual(self.rows("--ids", "@" + file)[0], self.expected(IDS))

    def test_chunks_change_nothing(self):
        for chunk in (1, 7, 64):
            self.assertEqual(self.rows("--ids", LIST, "--chunk", chunk)[0], self.expected(IDS))

    def test_a_batch_keeps_its_order(self):
        sequences = [IDS[:3], IDS[:39], [7], IDS[5:30], IDS[:17]]
        file = self.write("batch.txt", "\n".join(",".join(map(str, ids)) for ids in sequences) + "\n")
        expected = sum((self.expected(ids) for ids in sequences), [])
        self.assertEqual(self.rows("--batch", file)[0], expected)
        self.assertEqual(self.rows("--batch", file, "--kv-pages", 4, "--chunk", 5)[0], expected)

    def test_repeat_is_served_from_the_cache(self):
        rows, said = self.rows("--ids", LIST, "--repeat", 2)
        self.assertEqual(rows, self.expected(IDS))
        self.assertIn("32 of 40 tokens were cached", said)

    def test_wrong_usage(self):
        self.bad(2, "--ids", "logits", self.artifact, "-o", self.path("y.npy"))
        self.bad(2, "not a token id", "logits", self.artifact, "--ids", "1,x", "-o", self.path("y.npy"))
        self.bad(2, "-o", "logits", self.artifact, "--ids", "1")
        self.bad(1, "99", "logits", self.artifact, "--ids", "1,99", "-o", self.path("y.npy"))
        self.bad(1, "nowhere", "logits", self.artifact, "--ids", "1", "-o", "/nowhere/x.npy")


class Run(ArtifactTest):
    def test_prints_ids_as_its_last_line(self):
        done = self.good("run", self.artifact, "--ids", "1,5,3", "--max-tokens", 20, "--temperature", 0,
                         "--ignore-eos", "--print-ids")
        self.assertEqual(done.stdout, ",".join(map(str, greedy([1, 5, 3], 20))) + "\n")

    def test_underscores_environment_and_both_spellings(self):
        expected = ",".join(map(str, greedy([1], 4))) + "\n"
        for flags, environment in ((["--max_tokens", 4], {}), (["-n", 4], {}), ([], {"LLMRT_ARG_MAX_TOKENS": "4"})):
            done = self.good("run", "-m", self.artifact, "--ids", 1, "--temperature", 0, "--ignore-eos", "-q", *flags,
                             environment=environment)
            self.assertEqual(done.stdout, expected)
            self.assertEqual(done.stderr, "")

    def test_end_ids_stop(self):
        ids = greedy([1], 60)
        done = self.good("run", self.artifact, "--ids", 1, "--temperature", 0, "--print-ids", "-n", 60)
        self.assertEqual(done.stdout.strip(), ",".join(map(str, ids[:ids.index(2) + 1] if 2 in ids else ids)))

    def test_a_seed_reproduces(self):
        outputs = [self.good("run", self.artifact, "--ids", 1, "-n", 20, "--ignore-eos", "--print-ids", "--seed", seed,
                             "--temperature", 5).stdout for seed in (1, 1, 2)]
        self.assertEqual(outputs[0], outputs[1])
        self.assertNotEqual(outputs[0], outputs[2])

    def test_text_without_a_tokenizer_is_told(self):
        self.bad(1, "no tokenizer", "run", self.artifact, "-p", "hello")
        self.bad(1, "no tokenizer", "tokenize", self.artifact, input="hello")
        self.bad(1, "no chat template", "render", self.artifact, input="{}")

    def test_memory_is_printed(self):
        for verb in ("run", "serve", "bench"):
            out = json.loads(self.good(verb, self.artifact, "--print-memory", "--json").stdout)
            self.assertEqual(set(out), {"formula", "symbols", "mapped_bytes", "private_bytes", "kv_bytes_per_page"})
            value = eval(out["formula"], {"__builtins__": {}}, out["symbols"])
            self.assertEqual(value, out["private_bytes"])


class Perplexity(ArtifactTest):
    def expected(self, windows):
        total, count = 0.0, 0
        for ids in windows:
            for i in range(1, len(ids)):
                row = logits_of(ids[:i])
                total += math.log(sum(map(math.exp, row))) - row[ids[i]]
                count += 1
        return count, total / count

    def test_windows(self):
        file = self.write("ids.txt", LIST)
        for length in (40, 16, 7):
            out = json.loads(self.good("perplexity", self.artifact, "--ids", "@" + file, "-c", length, "--json").stdout)
            count, mean = self.expected([IDS[i:i + length] for i in range(0, 40, length)])
            self.assertEqual(out["tokens"], count)
            self.assertAlmostEqual(out["mean_nll"], mean, places=12)

    def test_max_tokens(self):
        file = self.write("ids.txt", LIST)
        out = json.loads(self.good("perplexity", self.artifact, "--ids", "@" + file, "--max-tokens", 10, "--json").stdout)
        self.assertEqual(out["tokens"], 9)

    def test_nothing_to_score(self):
        self.bad(1, "nothing to score", "perplexity", self.artifact, "--ids", "1")


class Bench(ArtifactTest):
    def test_json(self):
        out = json.loads(self.good("bench", self.artifact, "-t", 1, "-p", 8, "-n", 4, "-d", "0,16", "-s", "1,2", "-r", 2,
                                   "--json").stdout)
        self.assertEqual(set(out), {"threads", "device", "cpu_tier", "root_hash", "load_ms", "first_token_ms",
                                    "first_token_prompt", "warm_prompt_ms", "rss_bytes", "weight_bytes", "kv_bytes",
                                    "limits", "results"})
        self.assertGreater(out["warm_prompt_ms"], 0)
        self.assertGreater(out["rss_bytes"], 0)
        self.assertGreater(out["limits"]["read_gbps"], 0)
        tests = [(row["test"], row["depth"], row["streams"]) for row in out["results"]]
        self.assertEqual(tests, [("pp8", 0, 1), ("tg4", 0, 1), ("tg4", 0, 2), ("pp8", 16, 1), ("tg4", 16, 1),
                                 ("tg4", 16, 2)])
        for row in out["results"]:
            self.assertGreater(row["tokens_per_s"], 0)
            self.assertGreater(row["bytes_per_token"], 0)
            self.assertEqual(row["ops_per_token"], 0)
            self.assertAlmostEqual(row["fraction_of_read"], row["tokens_per_s"] * row["bytes_per_token"] / 1e9 /
                                   out["limits"]["read_gbps"])

    def test_profile(self):
        done = self.good("bench", self.artifact, "-t", 1, "-p", 8, "-n", 0, "-r", 1, "--profile", "-q")
        self.assertIn("outside of dispatches; 1 steps", done.stderr)
        self.assertIn("score (score)", done.stderr)

    def test_trace(self):
        trace = self.path("trace.json")
        self.good("bench", self.artifact, "-t", 1, "-p", 8, "-n", 0, "-r", 1, "--trace", trace, "-q")
        events = json.loads(pathlib.Path(trace).read_text())["traceEvents"]
        self.assertEqual([event["name"] for event in events[:2]], ["store", "score"])
        self.assertTrue(all(event["ph"] == "X" and event["dur"] >= 0 for event in events))
        self.bad(1, "no/such", "bench", self.artifact, "-t", 1, "-p", 8, "-n", 0, "-r", 1, "--trace", self.path("no/such/x"), "-q")


class Inspect(ArtifactTest):
    def test_inspect_and_verify(self):
        out = json.loads(self.good("inspect", self.artifact, "--json").stdout)
        for key in ("root_hash", "targets", "tiers", "quantization", "programs", "segments", "kernels"):
            self.assertIn(key, out)
        self.assertIn(out["root_hash"], self.good("verify", self.artifact).stdout)
        self.good("inspect", self.artifact, "--dump-kernels", self.path("kernels"))

    def test_damage_is_found(self):
        with open(self.artifact, "rb") as file:
            data = bytearray(file.read())
        segment = next(s for s in json.loads(self.good("inspect", self.artifact, "--json").stdout)["segments"]
                       if s["kind"] == "weights")
        data[segment["offset"]] ^= 1
        damaged = self.path("damaged.fbs")
        with open(damaged, "wb") as file:
            file.write(data)
        self.assertEqual(llmrt("verify", damaged).returncode, 1)
        data[200] ^= 1
        with open(damaged, "wb") as file:
            file.write(data)
        self.assertEqual(llmrt("run", damaged, "--ids", 1).returncode, 1)


class Usage(ArtifactTest):
    def test_exit_codes(self):
        self.bad(1, "/nothing.fbs", "run", "/nothing.fbs", "--ids", 1)
        self.bad(2, "--unknown", "run", self.artifact, "--unknown")
        self.bad(1, "llmrt serve FILE", "ps", "--url", "http://127.0.0.1:9")
        self.bad(2, "--url", "ps", "--url", "ftp://a")
        self.bad(2, "--url", "ps", "--url", "http://127.0.0.1:0")
        self.bad(2, "--enable-lora", "serve", self.artifact, "--enable-lora")
        self.bad(2, "--speculative-config", "serve", self.artifact, "--speculative_config={}")
        self.bad(2, "--target", "run", self.artifact, "--ids", 1, "--target", "tpu")
        self.bad(2, "llmc compile --kv-cache-dtype fp8", "run", self.artifact, "--ids", 1, "--kv-cache-dtype", "fp8")
        self.bad(2, "give one of", "run", self.artifact)
        self.bad(2, "--port", "serve", self.artifact, "--port", 99999)
        self.bad(2, "which artifact", "run", "--ids", 1)
        self.assertEqual(llmrt("--help").returncode, 0)
        self.assertEqual(llmrt("run", "--help").returncode, 0)
        self.assertIn("llmrt", llmrt("--version").stdout)

    def test_render_a_template_file(self):
        file = self.write("t.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
        variables = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
        self.assertEqual(self.good("render", file, input=variables).stdout, "user: hi\n")
        self.bad(1, "JSON", "render", file, input="{")


if __name__ == "__main__":
    unittest.main()

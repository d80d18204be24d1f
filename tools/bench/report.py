"""The record of a run of side_by_side.py: shares, ratios, tables and the plot."""

import fnmatch
import json
import pathlib
import statistics

import plan
from kl_ratio import kl_ratio

HERE = f"{pathlib.Path(__file__).resolve().parents[2]}/"  # records say paths within the repository


def choose(samples, row, contender):
    return [s for s in samples if s["match"] == row.match and s["shape"] == row.shape and s["contender"] == contender and
            fnmatch.fnmatchcase(s["test"], row.test if "*" in row.test else row.test + "*")]


def middle(samples, key="value"):
    return statistics.median(sample[key] for sample in samples)


def steady(samples):
    """The samples beside which the memory kept its speed to 10%: the others have no limit to be a share of. All, if none."""
    return [s for s in samples if s.get("read_changed", 0) <= 0.1] or samples


def share(samples, kind, cost=None):
    """Of the limit that was measured on both sides of each sample; `cost` where the contender does not say its own."""
    per_token, limit = {"read": ("bytes_per_token", "read_gbps"), "dot": ("ops_per_token", "dot_gops")}[kind]
    return statistics.median(s["value"] * (cost or s[per_token]) / s[limit] / 1e9 for s in steady(samples))


def met_by_rounds(ours, theirs, cost, goal, above, reach):
    """More than half of the rounds reach the ratio, or the share of the read where the peer's own is above what would let
    them. By rounds, for the memory is at times half as fast, and then a peer is near its limit."""
    met = [a["value"] / b["value"] >= goal or (share([b], "read", cost) > above and share([a], "read") >= reach)
           for a, b in zip(ours, theirs) if max(a.get("read_changed", 0), b.get("read_changed", 0)) <= 0.1]
    return sum(met) * 2 > len(met)


def best_peer(samples, row):
    better = min if row.test == "first" else max
    found = {peer: choose(samples, row, peer) for peer in row.peers}
    found = {peer: those for peer, those in found.items() if those}
    return better(found.items(), key=lambda item: middle(item[1]), default=(None, None))


def ratio(ours, theirs, test):
    pairs = [(a["value"], b["value"]) for a, b in zip(ours, theirs)]
    return statistics.median(b / a if test == "first" else a / b for a, b in pairs)


def no_less_accurate(accuracy_file, peer, measured):
    """The scheme of ours with the fewest bits, of those measured, whose KL divergence is no more than the peer's in the
    geometric mean over accuracy.py's models (one model's is partly chance); None if there is none."""
    if not accuracy_file.exists():
        return None
    records = json.loads(accuracy_file.read_text())["models"]
    theirs = peer.removeprefix("llama ").replace("Q", "q", 1)
    fit = [(r["bits"], r["scheme"]) for r in records[0]["schemes"] if f"ours {r['scheme']}" in measured and
           kl_ratio(records, r["scheme"], theirs)["ratio"] <= 1]
    return f"ours {min(fit)[1]}" if fit else None


def figure(samples, row, accuracy_file):
    """{value, against} of a row, or None where its samples are not there."""
    name, against, theirs = row.ours, "", None
    if row.kind in ("ratio", "quality"):
        against, theirs = best_peer(samples, row)
        if theirs is None:
            return None
    if row.kind == "quality":
        name = no_less_accurate(accuracy_file, against, {s["contender"] for s in samples if s["match"] == row.match})
    ours = choose(samples, row, name)
    if not ours:
        return None
    if row.kind in ("read", "dot"):
        value = share(ours, row.kind)
        return {"value": value, "ours": name, "against": "", "text": f"{value:.0%}", "bar": value >= row.bar,
                "stretch": value >= row.stretch}
    value = ratio(ours, theirs, row.test)
    out = {"value": value, "ours": name, "against": against, "text": f"{value:.2f}x", "bar": value >= row.bar,
           "stretch": value >= row.stretch}
    if row.or_read:  # at equal bytes; of another scheme's the peer's share is not known from ours
        cost = middle(choose(samples, row, "ours q4_g32"), "bytes_per_token")
        mine, peer = share(ours, "read"), share(theirs, "read", cost)
        out["text"] += f" ({mine:.0%} and {peer:.0%} of the read)"
        for key, goal_of, (above, reach) in zip(("bar", "stretch"), (row.bar, row.stretch), row.or_read):
            out[key] = out[key] or met_by_rounds(ours, theirs, cost, goal_of, above, reach)
    return out


def goal(row, number):
    return "" if not number else f"{number:.0%}" if row.kind in ("read", "dot") else f"{number:g}x"


def figures(samples, accuracy_file):
    return [(row, found) for row in plan.rows() if (found := figure(samples, row, accuracy_file))]


def row_table(samples, accuracy_file):
    out = ["| | ours | next to | figure | bar | stretch | met |", "|---|---|---|---|---|---|---|"]
    for row, found in figures(samples, accuracy_file):
        met = "" if not row.bar else "stretch" if found["stretch"] else "bar" if found["bar"] else "no"
        out.append(f"| {row.name} | {found['ours'].removeprefix('ours ')} | {found['against']} | {found['text']} |"
                   f" {goal(row, row.bar)} | {goal(row, row.stretch)} | {met} |")
    return "\n".join(out)


def sample_table(samples):
    out = ["| match | test | contender | median | least to most | of the read | of the dot peak | read GB/s | dot Gop/s |",
           "|---|---|---|---|---|---|---|---|---|"]
    keys = dict.fromkeys((s["match"], s["shape"], s["test"], s["contender"]) for s in samples)
    for key in keys:
        those = [s for s in samples if (s["match"], s["shape"], s["test"], s["contender"]) == key]
        values, known = [s["value"] for s in those], "bytes_per_token" in those[0]
        unit = " s" if key[2] == "first" else ""
        shares = f"{share(those, 'read'):.0%} | {share(those, 'dot'):.0%}" if known else " | "
        out.append(f"| {key[0]} {key[1]} | {key[2]} | {key[3]} | {middle(those):.4g}{unit} | {min(values):.4g} to "
                   f"{max(values):.4g} | {shares} | {middle(those, 'read_gbps'):.1f} | {middle(those, 'dot_gops'):.0f} |")
    return "\n".join(out)


def plot(samples, accuracy_file):
    """A bar a row, as far as what is to be reached (1); the stretch is a mark."""
    found = [(row, f) for row, f in figures(samples, accuracy_file) if row.bar]
    width, line, left = 860, 24, 400
    unit = (width - left - 150) / max([1.0, *(f["value"] / row.bar for row, f in found)])
    height = line * len(found) + 44
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             'font-size="13"><title>What was reached of each row\'s bar</title>'
             '<rect width="100%" height="100%" fill="white"/>']
    for i, (row, f) in enumerate(found):
        y, length, stretch = 8 + i * line, f["value"] / row.bar * unit, left + row.stretch / row.bar * unit
        color = "#2f7d4f" if f["stretch"] else "#3a6ea5" if f["bar"] else "#b5523b"
        parts.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{row.name}</text>'
                     f'<rect x="{left}" y="{y + 3}" width="{length:.1f}" height="{line - 8}" fill="{color}"/>'
                     f'<line x1="{stretch:.1f}" x2="{stretch:.1f}" y1="{y + 1}" y2="{y + line - 3}" stroke="#888"/>'
                     f'<text x="{max(left + length, stretch) + 6:.1f}" y="{y + 15}">{f["text"].split(" (")[0]}</text>')
    x = left + unit
    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 26}" stroke="black"/>'
                 f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">bar (grey: stretch)</text></svg>')
    return "\n".join(parts) + "\n"


def machine():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


def write(output, samples, commands, args, seconds):
    output.parent.mkdir(parents=True, exist_ok=True)
    root = str(args.peers)
    head = {"machine": machine(), "threads": args.threads, "quick": args.quick, "seconds": round(seconds),
            "commands": sorted(command.replace(root, "PEERS").replace(HERE, "") for command in commands)}
    output.with_suffix(".json").write_text(json.dumps({**head, "samples": samples}, indent=1) + "\n")
    reads = [s["read_gbps"] for s in samples]
    output.with_suffix(".md").write_text(
        f"{head['machine']}, {args.threads} threads, {seconds:.0f} s{', --quick' * args.quick}. Read bandwidth "
        f"{min(reads):.0f} to {max(reads):.0f} GB/s; shares are of the limits measured around each sample.\n\n"
        f"{row_table(samples, args.accuracy)}\n\n{sample_table(samples)}\n")
    output.with_suffix(".svg").write_text(plot(samples, args.accuracy))

"""Which of two schemes loses less, from the records of accuracy.py."""

import math
import statistics


def kl_ratio(records, ours, theirs):
    """The KL divergence of one scheme over another's, weights and activations rounded: geometric mean over the models, its
    standard error (as a factor less one), and in how many models it is at most 1."""
    logs = []
    for record in records:
        kl = {row["scheme"]: row["and_acts"]["kl"] for row in record["schemes"]}
        logs.append(math.log(kl[ours] / kl[theirs]))
    error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0
    return {"ours": ours, "theirs": theirs, "ratio": math.exp(statistics.mean(logs)), "error": math.expm1(error),
            "no_worse": sum(log <= 0 for log in logs), "models": len(logs)}

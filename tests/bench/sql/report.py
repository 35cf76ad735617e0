"""The measured figures as Markdown."""
import statistics


def percentile(values, share):
    """The nearest rank."""
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def number(value):
    if value is None:
        return "none"
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


class Cell:
    """One server, measure and number of clients, over all rounds."""

    def __init__(self, rounds, rows, peak):
        millis = [value for one in rounds for value in one.millis]
        self.answers = len(millis)
        self.failed = sum(sum(one.failed.values()) for one in rounds)
        self.why = sorted({status for one in rounds for status in one.failed})
        self.p50 = percentile(millis, 0.5) if millis else None
        self.p99 = percentile(millis, 0.99) if millis else None
        rates = [len(one.millis) / one.seconds for one in rounds if one.millis]
        self.rate = statistics.median(rates) if rates else None
        self.rows_rate = self.rate * rows if rates else None
        self.size = rounds[-1].size
        self.peak = peak

    def times(self):
        if self.p50 is None:
            return "failed"
        return f"{number(self.p50)} / {number(self.p99)}" + (f" ({self.failed} failed)" if self.failed else "")


def ratio(cell, own):
    if cell is None:
        return "no such format"
    if not (cell.p50 and own and own.p50):
        return "none"
    return f"{cell.p50 / own.p50:.2f}"


def times(names, keys, cells):
    """p50 and p99, and the others' p50 divided by our own."""
    own, *others = names
    head = ["measure", "clients", *(f"{name}: p50 / p99 ms" for name in names),
            *(f"{name} ÷ {own}" for name in others)]
    lines = []
    for measure, clients in keys:
        row = [cells.get((name, measure, clients)) for name in names]
        lines.append([measure, str(clients), *(c.times() if c else "no such format" for c in row),
                      *(ratio(c, row[0]) for c in row[1:])])
    return table(head, lines)


def rates(names, keys, cells):
    head = ["measure", "clients", *(f"{name}: rows/s (answers/s)" for name in names),
            *(f"{name}: peak MB" for name in names)]
    lines = []
    for measure, clients in keys:
        row = [cells.get((name, measure, clients)) for name in names]
        lines.append([measure, str(clients),
                      *(f"{number(c.rows_rate)} ({number(c.rate)})" if c else "–" for c in row),
                      *(f"{c.peak / 1e6:.0f}" if c else "–" for c in row)])
    return table(head, lines)


def sizes(names, keys, cells):
    """Bytes of an answer of each large result."""
    measures = [m for m in dict.fromkeys(m for m, _ in keys) if m.startswith("result")]
    lines = []
    for measure in measures:
        of = {name: c.size for (name, m, _), c in cells.items() if m == measure}
        lines.append([measure, *(f"{of[n] / 1e6:.1f}" if n in of else "no such format" for n in names)])
    return table(["answer, MB", *names], lines) if lines else ""


def slower(names, keys, cells):
    """Where our own p50 is not as good as is asked for: half of the disk mode's, the memory mode's."""
    own, *others = names
    found = []
    for measure, clients in keys:
        mine = cells.get((own, measure, clients))
        for name in others:
            cell = cells.get((name, measure, clients))
            if not (mine and cell and mine.p50 and cell.p50):
                continue
            got = cell.p50 / mine.p50
            asked = 2.0 if name.endswith("disk") else 1.0
            if got < asked:
                word = "slower than" if got < 1 else "less than 2 × as fast as"
                found.append(f"- {measure}, {clients} clients: {word} {name} ({got:.2f})")
    return "\n".join(found) or "Nothing."

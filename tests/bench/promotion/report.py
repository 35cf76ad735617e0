"""The measured figures as Markdown."""
import statistics


class Cell:
    """One system's measure over all rounds."""

    def __init__(self):
        self.seconds, self.processor, self.peaks = [], [], []

    def add(self, figures):
        self.seconds.append(figures["seconds"])
        self.processor.append(figures["processor"])
        self.peaks.append(figures["peak"])

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def peak(self):
        return max(self.peaks)

    @property
    def worked(self):
        return statistics.median(self.processor)

    def spread(self):
        return f"{time(self.median)} ({time(min(self.seconds))}–{time(max(self.seconds))})"

    def last(self):
        return f"{time(self.seconds[-1])}, processor {time(self.processor[-1])}, {self.peaks[-1] / 1e6:.0f} MB"


def time(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def beside(cells, own, others):
    """Median, range, ratio to ours, processor time and memory of each system, of one measure."""
    lines = []
    for name in (own, *others):
        if name not in cells:
            continue
        cell = cells[name]
        ratio = ["", "", ""]
        if own in cells and name != own:
            mine = cells[own]
            pairs = (mine.median, cell.median), (mine.worked, cell.worked), (mine.peak, cell.peak)
            ratio = [f"{a / b:.2f}" for a, b in pairs]
        lines.append([name, cell.spread(), ratio[0], time(cell.worked), ratio[1],
                      f"{cell.peak / 1e6:.0f} MB", ratio[2]])
    head = ["", "median (least–most)", "ours ÷ it", "processor time", "ours ÷ it", "peak memory", "ours ÷ it"]
    return table(head, lines)

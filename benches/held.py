"""What a process holds over the hours: memory, file handles, threads."""

import os
from pathlib import Path


def memory(pid):
    """Megabytes that a process has in memory."""
    return int(status(pid)["VmRSS"].split()[0]) / 1000


def status(pid):
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


class Held:
    """What the process `pid` held whenever `look` was called, and whether that stayed."""

    def __init__(self, name, pid):
        self.name, self.pid, self.looks = name, pid, []

    def look(self, passed_s):
        """Looks, `passed_s` after the beginning, and says what there is."""
        held = memory(self.pid), len(os.listdir(f"/proc/{self.pid}/fd")), int(status(self.pid)["Threads"])
        self.looks.append((passed_s, *held))
        return f"{self.name} {self.tell(*held)}"

    @staticmethod
    def tell(memory, handles, threads):
        return f"{memory:.1f} MB, {handles} handles, {threads} threads"

    def flat(self, all_s):
        """Whether, of a run of `all_s`, the last third held no more than the third after the first fifth, which fills buffers and tables: of memory the median, by
        at most 2 % more, and of handles and threads, which come and go with clients, the least. Prints both."""
        later = [look[1:] for look in self.looks if look[0] > all_s / 5]
        third = max(1, len(later) // 3)
        early, late = (zip(*looks) for looks in (later[:third], later[-third:]))
        early, late = ([sorted(memory)[third // 2], min(handles), min(threads)] for memory, handles, threads in (early, late))
        most = [max(column) for column in zip(*later)]
        print(f"{self.name}: {self.tell(*early)}, then {self.tell(*late)} (memory {100 * (late[0] / early[0] - 1):+.2f} %); most {self.tell(*most)}")
        return late[0] <= 1.02 * early[0] and late[1] <= early[1] and late[2] <= early[2]

"""Runs ninja and says what it cost: CPU minutes of this run, and the slowest files of the last build of each."""
import pathlib
import resource
import subprocess
import sys
import time


def edges(log):
    """The newest duration of each output, from ninja's log (version 5: start, end, mtime, output, command hash)."""
    seconds = {}
    for line in log.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            seconds[fields[3]] = (int(fields[1]) - int(fields[0])) / 1000
    return seconds


def main(build, targets):
    build = pathlib.Path(build)
    start = time.monotonic()
    code = subprocess.run(["ninja", "-C", build, *targets]).returncode
    wall = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(f"\nthis run: {cpu / 60:.1f} CPU minutes, {wall / 60:.1f} minutes by the clock")

    log = build / ".ninja_log"
    if log.exists():
        slowest = sorted(edges(log).items(), key=lambda item: -item[1])
        print("slowest files, seconds when last built:")
        for output, seconds in slowest[:15]:
            print(f"{seconds:8.1f}  {output}")
        print(f"{sum(edges(log).values()):8.1f}  all {len(slowest)} outputs together")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

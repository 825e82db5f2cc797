"""What `./hongyan test` does after setup: build, check, unit tests, then the scripts of tests/run.d, two at a time, and
the unit tests of the core (base, runtime, rpc) again under the address and undefined-behaviour sanitizers; with --long
those of all rooms, and under the thread sanitizer too.

A script is any executable file there; it runs from the root of the checkout, says what it does, and passes by exit 0.
`# timeout: SECONDS` among its first lines changes the default; `# long` makes it part of `test --long` only. A script
that holds several cases may end with a line `N passed, N failed`, which is then counted instead of 1.
Environment: HY_ROOT, HY_BUILD, HY_LONG=1 with --long.
"""
import argparse
import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(os.environ["HY_ROOT"])
BUILD = ROOT / "build"
STAGES = ["build", "check", "unit", "run", "sanitizers", "threads"]
LONG_STAGES = ["threads"]  # Run with --long, or when named.
SCRIPT_SECONDS_MAX = 600
UNIT_JOBS = 2
SCRIPT_PORTS = ["10000-20000", "20000-30000"]  # Of the scripts that run at one time (tests/lib/ports.py).
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed$")


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []  # Names.

    def add(self, name, ok):
        if ok:
            self.passed += 1
        else:
            self.failed.append(name)

    def extend(self, other):
        self.passed += other.passed
        self.failed += other.failed


def run(command, **more):
    sys.stdout.flush()
    return subprocess.run([str(word) for word in command], cwd=ROOT, **more).returncode


WITH_WEB = (ROOT / "clients/web/package.json").exists()


def web_beside():
    """Installs Node.js and a browser and builds the web client: fetching and unpacking mostly wait."""
    return subprocess.Popen(["bash", ROOT / "tools/verbs/web_beside.sh", "web", "browser"], cwd=ROOT) if WITH_WEB else None


def stage_build(arguments):
    tally, web = Tally(), web_beside()
    tally.add("build", run(["bash", ROOT / "tools/verbs/build.sh", "--all"]) == 0)
    if not tally.failed:
        again = subprocess.run(["ninja", "-C", BUILD, "all", "check_headers"], stdout=subprocess.PIPE, text=True).stdout
        tally.add("a second build has nothing to do", "no work to do" in again)
    if web:
        tally.add("build of the web client", web.wait() == 0)
    return tally


def stage_check(arguments):
    tally = Tally()
    tally.add("check", run([sys.executable, ROOT / "tools/check/check.py"]) == 0)
    for test in sorted((ROOT / "tools").rglob("*_test.py")):
        print(f"-- {test.relative_to(ROOT)}", flush=True)
        tally.add(test.relative_to(ROOT).as_posix(), run([sys.executable, test]) == 0)
    return tally


def gtest_cases(report):
    """(passed, names of the failed) of one gtest program's report."""
    passed, failed = 0, []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if case.get("status") == "notrun" or case.get("result") in ("suppressed", "skipped"):
            continue
        if case.find("failure") is not None:
            failed.append(f"{case.get('classname')}.{case.get('name')}")
        else:
            passed += 1
    return passed, failed


def unit_tests(build, environment, *options):
    """ctest runs the programs; where a program is a gtest one, its cases are counted."""
    reports = build / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    summary = reports / "ctest.junit"
    run(["ctest", "--test-dir", build, "--output-on-failure", "--parallel", UNIT_JOBS, "--no-tests=ignore",
         "--output-junit", summary, *options], env={**os.environ, **environment, "GTEST_OUTPUT": f"xml:{reports}/", "GTEST_COLOR": "no"})
    tally = Tally()
    if not summary.exists():
        tally.add("ctest", False)
        return tally
    for program in xml.etree.ElementTree.parse(summary).iter("testcase"):
        name = program.get("name")
        ok = program.get("status") == "run"
        report = reports / f"{name}_test.xml"
        passed, failed = gtest_cases(report) if report.exists() else (0, [])
        tally.passed += passed
        tally.failed += [f"{name}: {case}" for case in failed]
        if passed == 0 and not failed or not ok and not failed:
            tally.add(name, ok)  # Not a gtest program, or one that died before it could report.
    return tally


def stage_unit(arguments):
    return unit_tests(BUILD, {})


SUPPRESSIONS = ROOT / "tools/check/thread_sanitizer.txt"


def under_sanitizer(sanitizer, folder, options, core=False):
    """The unit tests, built again; the simulator and the benches, which are slow, are left out."""
    tally = Tally()
    target, chosen = ("core_tests", ["--label-regex", "^core$"]) if core else ("room_tests", ["--exclude-regex", "^sim$"])
    built = run(["bash", ROOT / "tools/verbs/build.sh", "--sanitize", sanitizer, target]) == 0
    tally.add(f"build with the {sanitizer} sanitizer", built)
    if built:
        found = unit_tests(ROOT / folder, options, *chosen)
        found.failed = [f"{name} ({sanitizer} sanitizer)" for name in found.failed]
        tally.extend(found)
    return tally


def stage_sanitizers(arguments):
    return under_sanitizer("address", "build-asan", {"ASAN_OPTIONS": "detect_stack_use_after_return=0",
                                                     "UBSAN_OPTIONS": "print_stacktrace=1"}, core=not arguments.long)


def stage_threads(arguments):
    return under_sanitizer("thread", "build-tsan", {"TSAN_OPTIONS": f"halt_on_error=1 suppressions={SUPPRESSIONS}"})


def script_settings(script):
    seconds, only_long = SCRIPT_SECONDS_MAX, False
    with open(script, errors="replace") as lines:
        for _, line in zip(range(15), lines):
            found = re.match(r"#\s*timeout:\s*(\d+)\s*$", line)
            if found:
                seconds = int(found[1])
            only_long = only_long or re.match(r"#\s*long\s*$", line) is not None
    return seconds, only_long


def end_session(process):
    """A script's own processes, and whatever it has left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_script(script, environment, seconds_max, ports, running):
    """(exit code, its lines, seconds)."""
    start, own_ports = time.monotonic(), ports.get()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(script)], cwd=ROOT, env=environment | {"HY_PORTS": own_ports}, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        running.append(process)
        try:
            code, more = process.wait(seconds_max), []
        except subprocess.TimeoutExpired:
            code, more = 124, [f"not done after {seconds_max} s"]
        end_session(process)
        running.remove(process)
        ports.put(own_ports)
        output.seek(0)
        return code, output.read().decode(errors="replace").splitlines() + more, time.monotonic() - start


def stage_run(arguments):
    """Several at a time: they mostly wait, each for servers of its own. What one says is printed when it is over."""
    tally = Tally()
    scripts = [path for path in sorted((ROOT / "tests/run.d").glob("*")) if path.is_file() and os.access(path, os.X_OK)]
    environment = {**os.environ, "HY_BUILD": str(BUILD), "PYTHONUNBUFFERED": "1"}
    ports = queue.SimpleQueue()
    for part in SCRIPT_PORTS:
        ports.put(part)
    if "build" not in arguments.chosen and WITH_WEB and web_beside().wait() != 0:
        tally.add("build of the web client", False)
    running, futures = [], []
    # With --long times are judged too: each alone.
    pool = concurrent.futures.ThreadPoolExecutor(1 if arguments.long else len(SCRIPT_PORTS))
    for script in scripts:
        seconds_max, only_long = script_settings(script)
        if arguments.script and arguments.script not in script.name or only_long and not arguments.long:
            continue
        futures.append((script, pool.submit(run_script, script, environment, seconds_max, ports, running)))
    for script, future in futures:
        try:
            code, lines, seconds = future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                end_session(process)
            raise
        print(f"-- tests/run.d/{script.name}", *("   " + line for line in lines), sep="\n", flush=True)
        closing = CLOSING.match(next((line.strip() for line in reversed(lines) if line.strip()), ""))
        if closing and int(closing[1]) + int(closing[2]) > 0 and (code == 0) == (int(closing[2]) == 0):
            tally.passed += int(closing[1])
            tally.failed += [script.name] * int(closing[2])
        else:
            tally.add(script.name, code == 0)
        print(f"   {'ok' if code == 0 else f'FAILED (exit {code})'} after {seconds:.1f} s", flush=True)
    return tally


def main():
    parser = argparse.ArgumentParser(prog="./hongyan test", description="Builds everything and runs every test.")
    parser.add_argument("--long", action="store_true", help="also what takes longer than the usual budget")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this stage (may be given again)")
    parser.add_argument("--script", help="of stage run, only scripts whose name contains this")
    arguments = parser.parse_args()
    if arguments.long:
        os.environ["HY_LONG"] = "1"
    stages = {"build": stage_build, "check": stage_check, "unit": stage_unit, "run": stage_run,
              "sanitizers": stage_sanitizers, "threads": stage_threads}
    usual = STAGES if arguments.long else [name for name in STAGES if name not in LONG_STAGES]
    chosen = arguments.chosen = arguments.stage or (["run"] if arguments.script else usual)

    total, table = Tally(), []
    for name in STAGES:
        if name not in chosen:
            continue
        print(f"== {name}", flush=True)
        start = time.monotonic()
        tally = stages[name](arguments)
        table.append((name, time.monotonic() - start, tally))
        total.extend(tally)
        if name == "build" and "build" in tally.failed:
            break  # The other stages would test the last build.

    print("\nstage       seconds   passed   failed")
    for name, seconds, tally in table:
        print(f"{name:10} {seconds:8.1f} {tally.passed:8} {len(tally.failed):8}")
    print(f"{'all':10} {sum(row[1] for row in table):8.1f}")
    for name in total.failed:
        print(f"failed: {name}")
    print(f"{total.passed} passed, {len(total.failed)} failed")
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

"""The child process of `evaluation.sandbox`: give everything up, then run one program.

It is started as a file, by a fresh interpreter, and imports nothing of corpusmill. It reads one
JSON object from standard input, sets its limits, and installs a system call filter (seccomp, Linux
manual page seccomp(2)). The filter lists what computing needs: memory, clocks, reading files.
Everything else fails with EPERM: sockets, new processes and threads, writing or removing files,
signals to other processes. After that it runs the program. The last lines of `main` write the
verdict to the pipe, which a program that ends itself never reaches.
"""

import ctypes
import json
import os
import resource
import struct
import sys

X86_64 = 0xC000003E  # AUDIT_ARCH_X86_64 of linux/audit.h
# Numbers of arch/x86/entry/syscalls/syscall_64.tbl.
ALLOWED = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20, "access": 21,
    "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35,
    "getpid": 39, "exit": 60, "uname": 63, "getcwd": 79, "readlink": 89,
    "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100,
    "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110,
    "sigaltstack": 131, "arch_prctl": 158, "gettid": 186, "time": 201, "futex": 202,
    "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "newfstatat": 262,
    "readlinkat": 267, "faccessat": 269, "ppoll": 271, "set_robust_list": 273, "getrandom": 318,
    "statx": 332, "rseq": 334, "faccessat2": 439,
}  # fmt: skip
# Opening is allowed for reading: number -> where the flags lie in seccomp_data.
OPENING = {2: 24, 257: 32}  # open, openat
# Of these calls, what the second argument may be. Other ioctls change files that are open for
# reading, or freeze a file system; other fcntls send signals to any process (dnotify, leases).
CHOSEN = {
    16: (0x5401, 0x5450, 0x5451),  # ioctl: TCGETS, FIONCLEX, FIOCLEX
    72: (0, 1, 2, 3, 1030),  # fcntl: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
}
SECOND = 24  # where that argument lies in seccomp_data
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050001  # the last with EPERM
LOAD, EQUAL, AT_LEAST, MASKED, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of linux/bpf_common.h
NUMBER, ARCHITECTURE, X32 = 0, 4, 0x40000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
NO_SANDBOX = 97  # exit code


def filter_program() -> bytes:
    """The filter as instructions of classic BPF: (code, jump if true, jump if false, operand)."""
    opening: list[tuple[int, int, int, int]] = []
    for number, place in OPENING.items():
        opening += [
            (EQUAL, 0, 4, number),
            (LOAD, 0, 0, place),
            (MASKED, 0, 1, WRITING),
            (RETURN, 0, 0, REFUSE),
            (RETURN, 0, 0, ALLOW),
        ]
    chosen: list[tuple[int, int, int, int]] = []
    for number, values in CHOSEN.items():
        chosen += [
            (EQUAL, 0, len(values) + 3, number),
            (LOAD, 0, 0, SECOND),
            *[(EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)],
            (RETURN, 0, 0, REFUSE),
            (RETURN, 0, 0, ALLOW),
        ]
    numbers = sorted(ALLOWED.values())
    listed = [(EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    instructions = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, X86_64),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE),
        *opening,
        *chosen,
        *listed,
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *item) for item in instructions)


def confine() -> None:
    """Install the filter. Raises OSError if the kernel refuses."""
    program = filter_program()
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    described = Program(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, FILTER, ctypes.byref(described), 0, 0),
    ):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


def limit(memory_mb: int, seconds: int) -> None:
    """Memory, processor time, no core file, no written byte in a file."""
    size = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    pipe = order["pipe"]
    try:
        limit(order["memory_mb"], order["seconds"])
        confine()
    except (OSError, ValueError) as error:
        os.write(pipe, f"{type(error).__name__}: {error}".encode()[:300])
        os._exit(NO_SANDBOX)
    verdict = order["secret"]
    try:
        exec(compile(order["program"], "program", "exec"), {"__name__": "__main__"})
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its verdict
        # No text of the program's goes out: that of an exception may hold what the program read.
        classes = type.mro(type(error))
        verdict = next(one.__name__ for one in classes if one.__module__ == "builtins")
    os.write(pipe, verdict.encode("utf-8", "replace")[:300])
    os._exit(0)


if __name__ == "__main__":
    main()

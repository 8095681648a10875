#!/usr/bin/python3
"""Holds the house against its plan: includes follow the arrows, third-party headers stay behind their fences,
no include cycle between files, no file over 800 lines, no function over 80 (tests/layers/arrows, fences)."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
LONGEST_FILE, LONGEST_FUNCTION = 800, 80


def read_list(name):
    out = {}
    for line in open(os.path.join(HERE, name)):
        line = line.split("#", 1)[0].strip()
        if line:
            key, values = line.split(":", 1)
            out[key.strip()] = values.split()
    return out


def sources():
    for folder, _, files in sorted(os.walk(os.path.join(ROOT, "src"))):
        for name in sorted(files):
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, os.path.join(ROOT, "src")), open(path, encoding="utf-8").read()


def fenced(header, room, path, fences):
    for fence, places in fences.items():
        if header == fence or (fence.endswith("/") and header.startswith(fence)):
            return not any(room == p or path == p or ("/" in p and path.startswith(p)) for p in places)
    return False


def check_includes(files, arrows, fences, bad):
    graph = {}
    for path, text in files.items():
        room = path.split("/")[0]
        graph[path] = []
        if room not in arrows:
            bad.append(f"src/{path}: the room {room} is not in tests/layers/arrows")
            continue
        for own, system in INCLUDE.findall(text):
            if own:
                target = own.split("/")[0] if "/" in own else room
                if own not in files:
                    bad.append(f"src/{path}: \"{own}\" is no file of ours; write room/file.h")
                elif target != room and target not in arrows[room]:
                    bad.append(f"src/{path}: {room} may not include {own}: the arrow {room} -> {target} is not in tests/layers/arrows")
                elif target != room and "internal" in os.path.basename(own):
                    bad.append(f"src/{path}: {own} is for files of {target} only")
                graph[path].append(own)
            elif fenced(system, room, path, fences):
                bad.append(f"src/{path}: <{system}> is fenced; see tests/layers/fences")
    return graph


def check_cycles(graph, bad):
    done, path = set(), []

    def visit(node):
        if node in path:
            bad.append("include cycle: " + " -> ".join(path[path.index(node):] + [node]))
            return
        if node in done or node not in graph:
            return
        path.append(node)
        for target in graph[node]:
            visit(target)
        path.pop()
        done.add(node)

    for node in sorted(graph):
        visit(node)


def functions(text):
    """(name, lines) of each function: from a line that ends its head to the closing brace in column one."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line == "{" and at > 0:
            end = next((i for i in range(at, len(lines)) if lines[i].startswith("}")), at)
            name = re.findall(r"(\w+)\(", " ".join(lines[max(0, at - 3):at]))
            yield (name[0] if name else "?"), end - at - 1


def check_lengths(files, bad):
    lengths = []
    for path, text in files.items():
        n = text.count("\n")
        if n > LONGEST_FILE:
            bad.append(f"src/{path}: {n} lines, more than {LONGEST_FILE}")
        if path.endswith(".c"):
            for name, lines in functions(text):
                lengths.append(lines)
                if lines > LONGEST_FUNCTION:
                    bad.append(f"src/{path}: {name} has {lines} lines, more than {LONGEST_FUNCTION}")
    return sorted(lengths)


def main():
    bad = []
    files = dict(sources())
    graph = check_includes(files, read_list("arrows"), read_list("fences"), bad)
    check_cycles(graph, bad)
    lengths = check_lengths(files, bad)
    for line in bad:
        print(line)
    if lengths:
        print(f"{len(files)} files, {len(lengths)} functions, median {lengths[len(lengths) // 2]} lines, "
              f"nine in ten within {lengths[len(lengths) * 9 // 10]}, longest {lengths[-1]}")
    print(f"{0 if bad else 1} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

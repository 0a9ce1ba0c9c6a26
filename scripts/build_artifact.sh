#!/usr/bin/env bash
# Fills the folder of one function's artifact: core, handlers and their pinned dependencies, pure Python only, so that the same
# artifact runs on arm64 and x86_64 and builds under any Python from 3.11 on. Called by `sam build` through the Makefile.
set -euo pipefail
target=$1
root=$(cd "$(dirname "$0")/.." && pwd)
pins=$root/requirements-lambda.txt
dependencies=$root/.aws-sam/dependencies/$(cksum < "$pins" | cut -d' ' -f1)

if [[ ! -e $dependencies/.ready ]]; then
  rm -rf "$dependencies"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile \
    --only-binary=:all: --platform any --implementation py --abi none --python-version 3.13 \
    --target "$dependencies" -r "$pins"
  rm -rf "$dependencies/bin"
  touch "$dependencies/.ready"
fi

mkdir -p "$target"
cp -R "$dependencies/." "$target"
rm "$target/.ready"
for package in core handlers; do
  mkdir -p "$target/$package"
  (cd "$root/$package" && find . -name '*.py' -print | tar -cf - -T -) | tar -xf - -C "$target/$package"
done

#!/usr/bin/env bash
# Starts a sync of a deployed environment and follows it; it ends with the exit code of `cloud-sync run`.
#
#   scripts/trigger_sync.sh prod [--input '{"max_items": 10}'] [--no-wait] [--json]
#   scripts/trigger_sync.sh follow|stop|redrive prod [EXECUTION] [--json]
#
# ENV is one of samconfig.toml, which names its stack; --stack NAME in its place names the stack itself.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

command=''
case ${1-} in
  follow | stop | redrive) command=$1 && shift ;;
esac
case ${1-} in
  '' | *[!a-z-]* | -h | --help) usage ;;
  --stack) stack=${2-} && [[ -n $stack ]] && shift 2 || usage ;;
  *)
    stack=$(sed -n "/^\[$1\.deploy\.parameters\]/,/^\[/s/^stack_name = \"\(.*\)\"/\1/p" "$root/samconfig.toml")
    if [[ -z $stack ]]; then
      echo "samconfig.toml has no environment $1." >&2
      usage
    fi
    shift
    ;;
esac

cloud_sync=$(command -v cloud-sync || echo "$root/.venv/bin/cloud-sync")
if [[ ! -x $cloud_sync ]]; then
  echo "cloud-sync is not installed here. Run: make setup" >&2
  exit 2
fi
exec "$cloud_sync" run ${command:+"$command"} --stack "$stack" "$@"

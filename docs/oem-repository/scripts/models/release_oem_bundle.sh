#!/bin/sh
# Releases the models of a tag: builds, signs, validates, publishes on the release branch, notes it in the decision log.
#
#   release_oem_bundle.sh TAG --key KEY [--passphrase-file F] [--branch B] [--push REMOTE]
#
# TAG is models/vX.Y.Z (or models/vX.Y.Z-rc.1). Run from the repository's root, with TAG checked out and nothing
# uncommitted. BOT_CORE_REQUIRE_OEM_MODELS is set for everything below: nothing passes without models.
# The workflow of deploy/ci/ runs this script and nothing else, so a release can be rehearsed on any machine.
#
# Publishes, in one commit on branch B (release/models):
#   ai_models/bundles/vX_Y_Z/    the bundle, for ever
#   ai_models/bundles/latest/    the same, replacing what was there
#   audit/decision_logs/demo.jsonl   an entry with the SHA-384 of bundle and manifest
#
# The log is one chain signed with one key: machine/machine.key, made by the first release, never committed. Keep it as
# a secret of the CI and put it back before the next release (SLUICE_MACHINE_KEY in the workflow).
set -eu
sluice=${SLUICE:-sluice}
export BOT_CORE_REQUIRE_OEM_MODELS=1
here=$(dirname "$0")
tag='' key='' passphrase='' branch=release/models push=''
usage() {
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
stop() {
	echo "release_oem_bundle: $*" >&2
	exit 2
}
[ $# -ge 1 ] || usage
tag=$1
shift
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--key) key=$2 ;;
	--passphrase-file) passphrase=$2 ;;
	--branch) branch=$2 ;;
	--push) push=$2 ;;
	*) usage ;;
	esac
	shift 2
done
[ -n "$key" ] || usage
case $tag in
models/v[0-9]*) version=${tag#models/v} ;;
*) stop "tag $tag, wanted: models/vX.Y.Z" ;;
esac
[ -z "$(git status --porcelain)" ] || stop "uncommitted changes; a release is made from what is committed"
[ "$(git rev-parse "refs/tags/$tag^{commit}" 2>/dev/null)" = "$(git rev-parse HEAD)" ] || stop "the tag $tag is not what is checked out"
folder=v$(printf '%s' "$version" | tr . _)

work=$(mktemp -d)
trap 'git worktree remove --force "$work/branch" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "1/5 build and sign $version"
set -- --key "$key" --version "$version" --out "$work/dist"
[ -z "$passphrase" ] || set -- "$@" --passphrase-file "$passphrase"
bundle=$(SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} sh "$here/build_oem_bundle.sh" "$@")
[ -f "$bundle" ] || stop "expected one bundle, got: $bundle"

echo "2/5 validate with the published key"
sh "$here/verify_oem_bundle.sh" "$bundle"

echo "3/5 publish on branch $branch"
if [ -n "$push" ] && git fetch --quiet "$push" "$branch" 2>/dev/null; then
	git branch --force --quiet "$branch" FETCH_HEAD
fi
if git rev-parse --verify --quiet "refs/heads/$branch" >/dev/null; then
	git worktree add --quiet "$work/branch" "$branch"
else
	git worktree add --quiet -b "$branch" "$work/branch"
fi
published=$work/branch/ai_models/bundles
if [ -e "$published/$folder" ]; then
	stop "$folder is published already; a version is never used twice: raise it"
fi
mkdir -p "$published/$folder" "$published/latest"
rm -f "$published"/latest/*.tar.zst*
cp "$bundle" "$published/$folder/"
cp "$bundle" "$published/latest/"
mkdir -p "$work/branch/ai_models/keys"
cp ai_models/keys/oem_model_signing.pub "$work/branch/ai_models/keys/"

echo "4/5 note it in the decision log"
tar -xf "$bundle" --use-compress-program=zstd -C "$work" manifest.json
if [ -f machine/machine.key ]; then
	mkdir -p "$work/branch/machine"
	cp -p machine/machine.key "$work/branch/machine/"
elif [ -s "$work/branch/audit/decision_logs/demo.jsonl" ]; then
	stop "machine/machine.key is missing: the log of branch $branch can only be continued with the key that began it"
fi
"$sluice" log append "released $tag" --root "$work/branch" --artefact "bundle=$bundle" --artefact "manifest.json=$work/manifest.json" \
	--operator "${GITHUB_ACTOR:-$(id -un)}" --quiet
"$sluice" log verify --root "$work/branch" --quiet
if [ ! -f machine/machine.key ]; then
	mkdir -p machine
	(umask 077 && cp "$work/branch/machine/machine.key" machine/)
	echo "    a new log: keep machine/machine.key as a secret of the CI, it is not committed"
fi

echo "5/5 guard, commit${push:+, push to $push}"
sh "$here/guard_oem_models.sh" --dir "$published/latest" --pubkey "$work/branch/ai_models/keys/oem_model_signing.pub"
(
	cd "$work/branch"
	git add ai_models audit machine/machine.pub
	git commit --quiet -m "Release $tag"
)
[ -z "$push" ] || git push --quiet "$push" "$branch"
echo "released $tag: $(basename "$bundle") on branch $branch"

#!/usr/bin/env bash
# Debian lets only one FTP server be installed at a time, and rsyslog makes itself the logger of the machine. Tests and
# benchmarks run several beside ours, so these are unpacked into .programs/<name>/ and not installed: no service starts,
# nothing of the system changes but shared libraries. Run by tools/programs.sh.
# Usage: tools/servers.sh [pure-ftpd] [proftpd] [rsyslogd]
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A PACKAGES=([pure-ftpd]="pure-ftpd" [proftpd]="proftpd-core proftpd-mod-crypto" [rsyslogd]="rsyslog")
declare -A LIBRARIES=(
  [pure-ftpd]="libsodium23 libcap2 libpam0g"
  [proftpd]="libhiredis0.14 libmemcached11 libmemcachedutil2 libpcre2-posix3 libsodium23 libidn2-0 libacl1 libpam0g"
  [rsyslogd]="libestr0 libfastjson4 liblognorm5 libsystemd0 libuuid1 libzstd1 zlib1g"
)

root=()
if [ "$(id -u)" != 0 ]; then root=(sudo -n); fi
if [ $# = 0 ]; then set -- "${!PACKAGES[@]}"; fi

unpack() {
  local name=$1 folder
  mkdir -p .programs
  folder=$(mktemp -d "$PWD/.programs/.new-XXXXXX")
  trap 'rm -rf "$folder"' RETURN
  # shellcheck disable=SC2086  # lists of package names
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${LIBRARIES[$name]} >/dev/null
  # shellcheck disable=SC2086
  (cd "$folder" && apt-get download -qq -o APT::Sandbox::User=root ${PACKAGES[$name]})
  mkdir "$folder/tree"
  for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/tree"; done
  rm -rf ".programs/$name"
  mv "$folder/tree" ".programs/$name"
}

for name in "$@"; do
  if [ -x ".programs/$name/usr/sbin/$name" ]; then continue; fi
  echo "servers: unpacking ${PACKAGES[$name]} into .programs/$name" >&2
  unpack "$name"
done

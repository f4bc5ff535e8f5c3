#!/usr/bin/env bash
# Install the programs that tests drive (FTP clients and servers, a browser) where this may be done: Debian, as root.
# Elsewhere it says loudly which are missing; their tests are then skipped. Usage: tools/programs.sh [program ...]
set -euo pipefail

declare -A PACKAGE=(
  [lftp]=lftp [rclone]=rclone [curl]=curl [wget]=wget [ncftpput]=ncftp [tnftp]=tnftp [vsftpd]=vsftpd [zstd]=zstd
  [strace]=strace [systemd-analyze]=systemd [rsync]=rsync [lsyncd]=lsyncd
  [mkfs.ext4]=e2fsprogs [bsdtar]=libarchive-tools [unzip]=unzip
  [nginx]=nginx-light
  [chromium]=chromium
)

# Debian installs one FTP server at a time, and installing rsyslog would make it the machine's logger: these are
# unpacked beside the others (tools/servers.sh).
APART="pure-ftpd proftpd rsyslogd"

missing=()
packages=()
apart=()
# shellcheck disable=SC2086  # a list of names
if [ $# = 0 ]; then set -- "${!PACKAGE[@]}" $APART; fi
for program in "$@"; do
  if [[ " $APART " == *" $program "* ]]; then
    if [ ! -x "$(dirname "$0")/../.programs/$program/usr/sbin/$program" ]; then apart+=("$program"); fi
  elif ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null; then
    missing+=("$program")
    packages+=("${PACKAGE[$program]}")
  fi
done
# Screenshots without fonts show boxes; the font comes with the browser.
if printf '%s\n' "$@" | grep -qx chromium && [ ! -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]; then
  missing+=("fonts") packages+=("fonts-dejavu-core")
fi
# The browser is driven by a Node.js that comes without this library.
if printf '%s\n' "$@" | grep -qx chromium && ! PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -q libatomic.so.1; then
  missing+=("libatomic") packages+=("libatomic1")
fi
[ ${#missing[@]} = 0 ] && [ ${#apart[@]} = 0 ] && exit 0

root=()
if [ "$(id -u)" != 0 ]; then root=(sudo -n); fi
if command -v apt-get >/dev/null && "${root[@]}" true 2>/dev/null; then
  if [ ${#packages[@]} != 0 ]; then echo "programs: installing ${packages[*]}" >&2; fi
  if "${root[@]}" apt-get update -qq &&
    { [ ${#packages[@]} = 0 ] ||
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; } &&
    { [ ${#apart[@]} = 0 ] || "$(dirname "$0")/servers.sh" "${apart[@]}"; }; then
    exit 0
  fi
fi
missing+=("${apart[@]}")
cat >&2 <<TEXT
=====================================================================================
 MISSING PROGRAMS: ${missing[*]}
 The tests that drive them will be SKIPPED. To run them, as root:
   apt-get install ${packages[*]}${apart[*]:+; tools/servers.sh ${apart[*]}}
=====================================================================================
TEXT

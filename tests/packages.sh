#!/bin/sh
# Installs what the tests need beside Python: a throw-away SLURM cluster
# (`slurm/cluster.py` has the list of programs), a browser for pages (`browser.py`), and
# the shells that complete commands.
# Says and does nothing where all of it is there.
set -eu

PACKAGES="slurm-wlm munge slurmdbd slurm-wlm-mysql-plugin mariadb-server
  chromium chromium-driver zsh fish"
PROGRAMS="munged munge slurmctld slurmd slurmdbd sbatch squeue sinfo scontrol scancel
  sacct sacctmgr mariadbd mariadb-admin mariadb-install-db
  chromium chromedriver zsh fish"
POLICY=/usr/sbin/policy-rc.d

# Daemons lie in folders that an ordinary user's PATH may lack.
PATH=$PATH:/usr/sbin:/sbin

complete() {
  for program in $PROGRAMS; do
    command -v "$program" >/dev/null || return 1
  done
  for plugin in /usr/lib/*/slurm-wlm/accounting_storage_mysql.so; do
    test -e "$plugin" || return 1
  done
}

refuse() {
  echo "the tests lack packages; install them yourself, $1:" $PACKAGES >&2
  exit 1
}

# Packages start their daemons unless this file forbids it. Another's file is left as
# it is.
forbid_daemons() {
  test ! -e "$POLICY" || return 0
  made=$POLICY
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

install_packages() {
  apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $PACKAGES
}

if complete; then exit 0; fi
command -v apt-get >/dev/null || refuse "there is no apt-get"
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || refuse "only root can do so from here"
  exec sudo -n sh "$0"
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
made=
trap 'rm -f "$log" $made' EXIT
trap 'exit 1' HUP INT TERM
forbid_daemons
# The first try fails where the package lists are missing or too old.
if ! install_packages >"$log" 2>&1 </dev/null; then
  apt-get -qq -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 || true
  if ! install_packages >>"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    refuse "apt-get fails"
  fi
fi
complete || refuse "what apt-get installed is not all"

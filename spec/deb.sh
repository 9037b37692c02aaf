#!/bin/sh
# The Debian package: lintian has nothing against it, and in a root of its own it installs, works, and is gone after a purge.
# That root is this machine's, with whatever is written kept apart (an overlay): it needs root, and is skipped aloud without.
set -eu
cd "$(dirname "$0")/.."
make -s all deb
deb=$(ls "$PWD"/build/deb/moonweir_*.deb)
work=$(mktemp -d)
root=$work/root
enter="env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot $root"
daemon=

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

clean() {
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || true
		wait "$daemon" || true
	fi
	umount -R "$root" 2>/dev/null || true
	umount "$work/disk" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

lintian --allow-root --fail-on error,warning build/deb/moonweir_*.changes || fail lintian
echo "lintian has no error and no warning"

# What is in it, whoever may install it.
dpkg-deb -x "$deb" "$work/files"
unit=$work/files/lib/systemd/system/moonweir.service
for file in usr/bin/moonweir usr/share/man/man1/moonweir.1.gz usr/share/lua/5.4/moonweir/init.lua usr/share/lua/5.1/moonweir/init.lua \
	lib/systemd/system/moonweir.service usr/lib/sysusers.d/moonweir.conf \
	usr/share/doc/moonweir/README.md.gz usr/share/doc/moonweir/examples/systemd/moonweir.lua; do
	[ -e "$work/files/$file" ] || fail "$file is not in it"
done
for vm in lua5.4 luajit; do
	for module in build/$vm/moonweir/*.so; do
		[ -e "$work/files$(pkg-config --variable=INSTALL_CMOD $vm)/moonweir/${module##*/}" ] || fail "$module is not in it"
	done
done
if command -v systemd-analyze >/dev/null; then
	score=$(systemd-analyze security --offline=yes --no-pager "$unit" | sed -n 's/.*exposure level[^:]*: \([0-9.]*\).*/\1/p')
	echo "the unit's exposure: $score of 10"
	[ "$(printf '%s\n' 1.5 "$score" | sort -n | tail -n 1)" = 1.5 ] || fail "the unit is too open: $score"
fi

if [ "$(id -u)" != 0 ]; then
	echo "skipped: to install it takes root"
	exit 0
fi
# An overlay can't have its upper folder on another overlay, as a container's root is.
mkdir "$work/disk" "$root"
mount -t tmpfs none "$work/disk" && mkdir "$work/disk/upper" "$work/disk/work" &&
	mount -t overlay overlay -o "lowerdir=/,upperdir=$work/disk/upper,workdir=$work/disk/work" "$root" || {
	echo "skipped: no overlay can be mounted here"
	exit 0
}
mount -t proc none "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs none "$root/run"
# Nothing is started in there, and nothing of the tree is found.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp "$deb" "$root/tmp/moonweir.deb"
cp examples/acme-mail/demo.sh "$root/tmp"
inside() {
	$enter "$@"
}
# What is there that was not, but for the books that dpkg and the users' files are.
files() {
	(cd "$work/disk/upper" && find . -path ./var/lib/dpkg -prune -o -path ./var/log -prune -o -path ./var/cache -prune -o -print) |
		grep -v -E '^\./etc/((group|gshadow|passwd|shadow)-?|\.pwd\.lock)$' |
		while read -r file; do [ -d "/$file" ] && [ -d "$work/disk/upper/$file" ] || echo "$file"; done | sort
}
files >"$work/before"

inside dpkg -i /tmp/moonweir.deb >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg -i"; }
inside getent passwd moonweir >/dev/null || fail "there is no user moonweir"
[ -L "$root/etc/systemd/system/multi-user.target.wants/moonweir.service" ] || fail "the service is not enabled"
inside moonweir --version
inside moonweir --help >/dev/null || fail "--help"
inside sh -c 'MOONWEIR_LUA=luajit moonweir --help' >/dev/null || fail "--help on LuaJIT"
inside systemd-analyze verify moonweir.service >"$work/log" 2>&1 && ! grep moonweir "$work/log" || { cat "$work/log"; fail "the unit"; }
inside sh -c 'cd /usr/share/doc/moonweir/examples && sh acme-mail/demo.sh' >"$work/log" 2>&1 || { cat "$work/log"; fail "the demo"; }

# The daemon as README.Debian sets it up, with the unit's user, folder, secret and command. Nobody here is systemd, so the
# sandbox around it is not.
inside sh -e -c '
	cd /usr/share/doc/moonweir/examples
	cp systemd/moonweir.lua acme-mail/acme-mail.lua /etc/moonweir/
	moonweir accounts new-master-key /etc/moonweir/master-key
	sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:0/" /etc/moonweir/moonweir.lua # any free port
	install -d -o moonweir -g moonweir -m 700 /var/lib/moonweir /run/credentials
	install -o moonweir -m 400 /etc/moonweir/master-key /run/credentials/moonweir-master-key' >"$work/log" 2>&1 ||
	{ cat "$work/log"; fail "the steps of README.Debian"; }
start=$(sed -n 's/^ExecStart=//p' "$unit")
$enter setpriv --reuid=moonweir --regid=moonweir --clear-groups --no-new-privs --bounding-set=-all \
	env CREDENTIALS_DIRECTORY=/run/credentials sh -c "umask 077; exec $start" >"$work/log" 2>&1 &
daemon=$!
tries=0
until curl -q --noproxy '*' -s -o /dev/null "http://$(sed -n 's/.*event=started.* operations=\([^ ]*\).*/\1/p' "$work/log")/healthz"; do
	kill -0 "$daemon" 2>/dev/null && [ "$tries" -lt 1200 ] || { cat "$work/log"; fail "the daemon did not start"; }
	tries=$((tries + 1))
	sleep 0.1
done
kill -TERM "$daemon"
wait "$daemon" || { cat "$work/log"; fail "the daemon did not stop well"; }
daemon=
[ "$(inside stat -c %a:%U /var/lib/moonweir/spool)" = 700:moonweir ] || fail "the spool is not its user's alone"
echo "it installs, and the daemon runs as the unit says"

inside dpkg --purge moonweir >"$work/log" 2>&1 || { cat "$work/log"; fail "purge"; }
grep -q "left /var/lib/moonweir" "$work/log" || fail "the purge threw the spool away, or said nothing"
[ -e "$root/etc/moonweir/master-key" ] || fail "the purge threw the master key away"
inside rm -r /var/lib/moonweir /etc/moonweir
files >"$work/after"
diff "$work/before" "$work/after" || fail "the purge left something behind"
echo "a purge leaves nothing but what operators made"

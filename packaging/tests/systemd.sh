#!/bin/bash
# Runs in a booted Debian in which the package is installed: the service as systemd runs it.
# `cargo xtask dist --check` starts it. The last line of its output is PASSED.
set -euxo pipefail

refused() { if "$@"; then exit 1; fi; }
metrics() {
    exec 9<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&9
    cat <&9
    exec 9<&-
}
# The sum of a metric's samples, without its fraction.
sum() { metrics "$1" | awk -v name="$2" 'index($0, name "{") == 1 { n += $NF } END { printf "%d", n }'; }
until_true() {
    for _ in $(seq 120); do
        if eval "$1"; then return; fi
        sleep 1
    done
    exit 1
}
children() { grep -lz plugin-child /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }

# The installation starts nothing, and an unconfigured service says what is missing.
refused systemctl --quiet is-enabled callmeter.service
refused systemctl --quiet is-active callmeter.service
refused systemctl start callmeter.service
journalctl --no-pager --unit=callmeter.service | grep secret_acme.password
systemctl reset-failed callmeter.service

# The demo's simulator is the API of the service.
systemd-run --quiet --unit=demo --uid=callmeter \
    callmeter demo --directory=/var/lib/callmeter/demo --web.listen-address=127.0.0.1:18177
until_true 'callmeter healthcheck 127.0.0.1:18177'
until_true 'test -f /var/lib/callmeter/demo/callmeter.yml'

credentials=/run/credentials/callmeter.service
install -m 0600 /var/lib/callmeter/demo/hostedsuite.password /etc/callmeter/secrets/acme.password
install -m 0600 /var/lib/callmeter/demo/portsip.password /etc/callmeter/secrets/hq.password
install -m 0600 /var/lib/callmeter/demo/webhook.secret /etc/callmeter/secrets/crm
# Later than the check of the upgrade, which left its own files there.
rm -rf /var/lib/callmeter/csv
sed -e "s|hostedsuite.password|$credentials/secret_acme.password|" \
    -e "s|portsip.password|$credentials/secret_hq.password|" \
    -e "s|secret_file: webhook.secret|secret_file: $credentials/secret_crm|" \
    -e 's|directory: "[^"]*"|directory: /var/lib/callmeter/csv|' \
    -e 's|path: journal.db|path: /var/lib/callmeter/journal.db|' \
    /var/lib/callmeter/demo/callmeter.yml >/etc/callmeter/callmeter.yml

# `start` returns when the journal is counted and the port answers.
systemctl start callmeter.service
callmeter healthcheck
test "$(systemctl show --value --property=StatusText callmeter.service)" = '2 accounts, 2 outputs'
until_true 'test "$(sum 10177 callmeter_calls_total)" -gt 0'
# Both plugins work, in processes of their own, with all the restrictions.
until_true 'test "$(sum 10177 callmeter_output_records_delivered_total)" -gt 0'
until_true 'compgen -G "/var/lib/callmeter/csv/*.csv*"'
test "$(children)" -ge 2
metrics 10177 | grep '^process_start_time_seconds'
metrics 10177 | grep '^callmeter_output_up{.*} 1$' | awk 'END { exit NR != 2 }'

# A reload applies a change. One with a mistake changes nothing.
main=$(systemctl show --value --property=MainPID callmeter.service)
systemctl reload callmeter.service
cp -p /etc/callmeter/callmeter.yml /root/good.yml
echo 'nonsense: 1' >>/etc/callmeter/callmeter.yml
systemctl reload callmeter.service
cp -p /root/good.yml /etc/callmeter/callmeter.yml
systemctl --quiet is-active callmeter.service
test "$(systemctl show --value --property=MainPID callmeter.service)" = "$main"

# An installation over this one restarts the service and keeps its configuration.
dpkg --install /new.deb </dev/null
test "$(systemctl show --value --property=MainPID callmeter.service)" != "$main"
systemctl --quiet is-active callmeter.service
cmp /etc/callmeter/callmeter.yml /root/good.yml

# A PostgreSQL server on this machine, and a configuration with the journal there, as the packaged
# one describes it.
systemctl start postgresql.service
until_true 'runuser -u postgres -- psql -c "SELECT 1"'
runuser -u postgres -- psql -c "CREATE ROLE callmeter LOGIN PASSWORD 'secret'" \
    -c "CREATE DATABASE callmeter OWNER callmeter TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
install -m 0640 -g callmeter /dev/null /etc/callmeter/journal.url
echo 'postgres://callmeter:secret@127.0.0.1:5432/callmeter' >/etc/callmeter/journal.url
server='postgres: { url_file: /etc/callmeter/journal.url, directory: /var/lib/callmeter }'
cp -p /etc/callmeter/callmeter.yml /etc/callmeter/server.yml
sed -i "s|path: /var/lib/callmeter/journal.db|$server|" /etc/callmeter/server.yml
grep '/etc/callmeter/journal.url' /etc/callmeter/server.yml

# The commands of the page about operation: a backup while it runs, a move to a server, a restore.
awk '/^```sh$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > ("/root/operating." n ".sh") }' \
    /usr/share/doc/callmeter/OPERATING.md
grep 'journal backup' /root/operating.1.sh
grep 'journal copy' /root/operating.2.sh
test ! -e /root/operating.4.sh
before=$(sum 10177 callmeter_calls_total)
bash -euxo pipefail /root/operating.1.sh
bash -euxo pipefail /root/operating.3.sh
test -f /var/lib/callmeter/before/journal.db
test "$(sum 10177 callmeter_calls_total)" -ge "$before"
bash -euxo pipefail /root/operating.2.sh
test "$(sum 10177 callmeter_calls_total)" -ge "$before"
callmeter journal stats --config.file=/etc/callmeter/callmeter.yml | grep 'postgres://127.0.0.1:5432/callmeter'

# The watchdog restarts a program that hangs.
mkdir -p /run/systemd/system/callmeter.service.d
printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/callmeter.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart callmeter.service
kill -STOP "$(systemctl show --value --property=MainPID callmeter.service)"
until_true 'test "$(systemctl show --value --property=NRestarts callmeter.service)" = 1'
until_true 'systemctl --quiet is-active callmeter.service'
rm /run/systemd/system/callmeter.service.d/watchdog.conf
systemctl daemon-reload

# While the server is away, systemd starts the service again and again.
systemctl stop callmeter.service postgresql.service
systemctl start --no-block callmeter.service
until_true 'test "$(systemctl show --value --property=ExecMainStatus callmeter.service)" = 4'
systemctl start postgresql.service
until_true 'systemctl --quiet is-active callmeter.service'
until_true 'test "$(sum 10177 callmeter_calls_total)" -ge "$before"'
# A second instance has the same totals.
second=/var/lib/callmeter/second
install -d -m 0750 -o callmeter -g callmeter $second
install -m 0600 -o callmeter -g callmeter /etc/callmeter/secrets/* $second
sed -e "s|$credentials/secret_|$second/|" -e "s|directory: /var/lib/callmeter }|directory: $second }|" \
    /etc/callmeter/callmeter.yml >$second/callmeter.yml
chown callmeter: $second/callmeter.yml
systemd-run --quiet --unit=second --uid=callmeter \
    callmeter run --config.file=$second/callmeter.yml --web.listen-address=127.0.0.1:18178
until_true 'test "$(sum 18178 callmeter_calls_total)" -ge "$before"'
until_true 'test "$(sum 18178 callmeter_calls_total)" = "$(sum 10177 callmeter_calls_total)"'
systemctl stop second.service

# An orderly stop, and a start by the first connection.
systemctl stop callmeter.service
test "$(systemctl show --value --property=Result callmeter.service)" = success
echo 'ARGS=--web.systemd-socket' >/etc/default/callmeter
systemctl start callmeter.socket
refused systemctl --quiet is-active callmeter.service
until_true 'callmeter healthcheck'
systemctl --quiet is-active callmeter.service
systemctl stop callmeter.socket callmeter.service demo.service
echo PASSED

#!/usr/bin/env bash
# Makes a self-signed certificate for this machine: cert.pem and its key.pem.
set -euo pipefail

days=397 # browsers refuse longer ones
renew_days=7

usage() {
    cat <<'TEXT'
Usage: ./generate_ssl_certs.sh [--force] [--out DIR] [--host NAME]... [--help]

Makes cert.pem and key.pem, self-signed, for localhost, this machine's name and its addresses.
A pair that is still valid for more than 7 days is kept; a self-signed one that is not is renewed.

  --force      make a new pair whatever is there
  --out DIR    the folder to write to (default: the folder of this script)
  --host NAME  one more host name or IP address the certificate is for; may be repeated
  --help       this text
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

misused() {
    say "$* ./generate_ssl_certs.sh --help lists the flags." >&2
    exit 2
}

is_address() { [[ $1 =~ ^[0-9]+(\.[0-9]+){3}$ || $1 == *:* ]]; }

# What goes into the certificate's configuration must not be able to add lines to it.
is_host() { [[ $1 =~ ^[A-Za-z0-9*][A-Za-z0-9._-]*$ || $1 =~ ^[0-9A-Fa-f:.]+$ ]]; }

parse_flags() {
    force=no out=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) extra_hosts=()
    while (($#)); do
        case $1 in
            --force) force=yes ;;
            --out)
                [[ -n ${2:-} ]] || misused "--out needs a folder."
                out=$2 && shift
                ;;
            --host)
                is_host "${2:-}" || misused "--host needs a host name or an IP address, not '${2:-}'."
                extra_hosts+=("$2") && shift
                ;;
            --help | -h) usage && exit 0 ;;
            *) misused "generate_ssl_certs.sh does not know '$1'." ;;
        esac
        shift
    done
}

lan_addresses() {
    { hostname -I || ip -4 -o addr show scope global | sed 's/.* inet \([0-9.]*\).*/\1/'; } 2>/dev/null |
        tr ' ' '\n' | grep -E '^[0-9]+(\.[0-9]+){3}$' || true
}

all_hosts() {
    local name
    name=$(uname -n)
    is_host "$name" || name=localhost
    {
        printf '%s\n' localhost "$name" 127.0.0.1 ::1 ${extra_hosts[@]+"${extra_hosts[@]}"}
        lan_addresses
    } | sort -u
}

configuration() {
    cat <<'TEXT'
[req]
prompt = no
distinguished_name = name
x509_extensions = leaf
[name]
CN = localhost
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = @hosts
[hosts]
TEXT
    local host number=0
    while read -r host; do
        number=$((number + 1))
        if is_address "$host"; then say "IP.$number = $host"; else say "DNS.$number = $host"; fi
    done < <(all_hosts)
}

# The server's port, as far as a shell can tell: from the environment, else from .env beside this script.
port() {
    local env_file port=${PORT:-}
    env_file="$(dirname "${BASH_SOURCE[0]}")/.env"
    if [[ -z $port && -r $env_file ]]; then
        port=$(sed -nE "s/^ *(export +)?PORT *= *[\"']?([0-9]+).*/\2/p" "$env_file")
        port=${port##*$'\n'}
    fi
    say "${port:-7866}"
}

make_pair() {
    mkdir -p "$out"
    # Beside the goal, so that the moves below are renames; nothing is replaced before both files are made.
    work=$(mktemp -d "$out/.certs.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    configuration >"$work/openssl.cnf"
    (
        umask 077
        openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem"
    )
    openssl req -x509 -new -sha256 -days "$days" -config "$work/openssl.cnf" -key "$work/key.pem" -out "$work/cert.pem" ||
        fail "openssl did not make the certificate; its own words are above."
    chmod 644 "$work/cert.pem"
    mv -f "$work/key.pem" "$out/key.pem"
    mv -f "$work/cert.pem" "$out/cert.pem"
    say "Wrote cert.pem and key.pem to $out, valid for $days days, for: $(all_hosts | tr '\n' ' ')"
    say "Browsers warn of it once; other clients trust it when told to:"
    say "  curl --cacert '$out/cert.pem' https://localhost:$(port)/hello"
}

is_self_signed() {
    local subject issuer
    subject=$(openssl x509 -in "$out/cert.pem" -noout -subject_hash)
    issuer=$(openssl x509 -in "$out/cert.pem" -noout -issuer_hash)
    [[ $subject == "$issuer" ]]
}

keys_match() {
    local of_cert of_key
    of_cert=$(openssl x509 -in "$out/cert.pem" -noout -pubkey)
    of_key=$(openssl pkey -in "$out/key.pem" -pubout -passin pass: 2>/dev/null) || return 1
    [[ $of_cert == "$of_key" ]]
}

covers() {
    local option=-checkhost
    if is_address "$1"; then option=-checkip; fi
    [[ $(openssl x509 -in "$out/cert.pem" -noout "$option" "$1") == *"does match"* ]]
}

keep_names() {
    local host
    while read -r host; do
        if is_host "$host"; then extra_hosts+=("$host"); fi
    done < <(openssl x509 -in "$out/cert.pem" -noout -ext subjectAltName | tr ',' '\n' | sed -nE 's/^ *(DNS|IP Address)://p')
}

# Returns when the pair has to be renewed; ends the script when it stays.
judge_existing_pair() {
    local kept="Nothing was changed; --force makes a new pair." host
    [[ -e $out/cert.pem && -e $out/key.pem ]] || fail "Only one of cert.pem and key.pem is in $out. $kept"
    openssl x509 -in "$out/cert.pem" -noout 2>/dev/null || fail "$out/cert.pem is not a certificate. $kept"
    keys_match || fail "$out/key.pem does not belong to cert.pem. $kept"
    if ! openssl x509 -in "$out/cert.pem" -noout -checkend $((renew_days * 86400)) >/dev/null; then
        is_self_signed || fail "$out/cert.pem ends within $renew_days days or has ended, but is not self-signed. $kept"
        say "cert.pem ends within $renew_days days or has ended; renewing it for the names it has."
        keep_names
    else
        for host in ${extra_hosts[@]+"${extra_hosts[@]}"}; do
            covers "$host" || fail "cert.pem is still valid but is not for $host. $kept"
        done
        say "cert.pem and key.pem in $out are still valid. $kept"
        exit 0
    fi
}

parse_flags "$@"
command -v openssl >/dev/null || fail "The openssl command is missing: apt-get install openssl"
if [[ $force == no && (-e $out/cert.pem || -e $out/key.pem) ]]; then judge_existing_pair; fi
make_pair

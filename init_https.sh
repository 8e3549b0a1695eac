#!/usr/bin/env bash
# Chooses HTTP or HTTPS, then starts the server through init.sh.
set -euo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
Usage: ./init_https.sh [--http | --self-signed | --cert PATH --key PATH] [flags of init.sh]

Asks how to serve, unless a flag says it, and starts the server:

  --http                   plain HTTP
  --self-signed            HTTPS with a self-signed certificate, which is made when missing
  --cert PATH --key PATH   HTTPS with your own certificate and its key
  --help                   this text

The answers may be piped in, one a line; no answer means HTTP. --no-start, --dev and --check go to ./init.sh.
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

misused() {
    say "$* ./init_https.sh --help lists the flags." >&2
    exit 2
}

choose() {
    [[ -z $choice || $choice == "$1" ]] || misused "--http, --self-signed and --cert with --key exclude each other."
    choice=$1
}

parse_flags() {
    choice='' cert='' key='' rest=()
    while (($#)); do
        case $1 in
            --http) choose 1 ;;
            --self-signed) choose 2 ;;
            --cert | --key)
                choose 3
                [[ -n ${2:-} ]] || misused "$1 needs a path."
                if [[ $1 == --cert ]]; then cert=$2; else key=$2; fi
                shift
                ;;
            --help | -h) usage && exit 0 ;;
            --no-start | --dev | --check) rest+=("$1") ;;
            *) misused "init_https.sh does not know '$1'." ;;
        esac
        shift
    done
    [[ $choice != 3 || (-n $cert && -n $key) ]] || misused "--cert and --key are needed together."
}

ask() {
    say "How should the server be reached?"
    say "  1  HTTP (default)"
    say "  2  HTTPS with a self-signed certificate"
    say "  3  HTTPS with your own certificate"
    read -r -p "1, 2 or 3: " choice || true
    # Only a person can be asked again; the next line of a pipe would answer another question.
    while [[ -t 0 && -n $choice && $choice != [123] ]]; do
        read -r -p "'$choice' is none of them. 1, 2 or 3: " choice || true
    done
    if [[ $choice == 3 ]]; then
        read -r -p "Path of the certificate: " cert || true
        read -r -p "Path of its key: " key || true
    fi
}

# The server is started in another folder, and ~ stands for nothing when it was read from a prompt.
absolute() {
    case $1 in
        /*) say "$1" ;;
        \~/*) say "$HOME/${1#\~/}" ;;
        *) say "$PWD/$1" ;;
    esac
}

check_own_pair() {
    [[ -n $cert && -n $key ]] || fail "Both paths are needed, the certificate's and its key's."
    [[ -f $cert && -r $cert ]] || fail "There is no certificate to read at $cert."
    [[ -f $key && -r $key ]] || fail "There is no key to read at $key."
    command -v openssl >/dev/null || fail "The openssl command is missing: apt-get install openssl"
    local of_cert of_key
    of_cert=$(openssl x509 -in "$cert" -noout -pubkey 2>/dev/null) || fail "$cert is not a certificate in PEM form."
    of_key=$(openssl pkey -in "$key" -pubout -passin pass: 2>/dev/null) ||
        fail "$key is not a private key in PEM form without a passphrase."
    [[ $of_cert == "$of_key" ]] || fail "The key at $key does not belong to the certificate at $cert."
}

start_server() {
    export SSL_CERTFILE=$1 SSL_KEYFILE=$2
    exec "$here/init.sh" ${rest[@]+"${rest[@]}"}
}

parse_flags "$@"
[[ -n $choice ]] || ask
case $choice in
    2)
        "$here/generate_ssl_certs.sh"
        start_server "$here/cert.pem" "$here/key.pem"
        ;;
    3)
        cert=${cert:+$(absolute "$cert")} key=${key:+$(absolute "$key")}
        check_own_pair
        start_server "$cert" "$key"
        ;;
    1 | '') start_server '' '' ;;
    *)
        say "'$choice' is none of them; starting with HTTP."
        start_server '' ''
        ;;
esac

"""Judges what testssl.sh found: nothing above "low", save what is listed here with its reason."""

import json
import sys

# What a certificate of one's own authority brings about, by the scanner's ids.
ACCEPTED = {
    "cert_chain_of_trust": "no browser knows the authority of the scan",
    "cert_revocation": "the authority of the scan publishes no revocations",
    "sessionresumption_ticket": "on a busy machine the scanner's try breaks off; the tests of the gate resume by tickets",
    "overall_grade": "it is capped by the authority that no browser knows",
    "grade_cap_reason_1": "it speaks of the authority that no browser knows",
}
GOOD = ("OK", "INFO", "LOW", "DEBUG")


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        found = json.load(file)
    # What a scan that broke off left out must not pass for clean.
    seen = {one["id"].split(" ")[0] for one in found}
    needed = {"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "heartbleed", "secure_renego", "ROBOT", "BEAST", "LUCKY13", "RC4"}
    missing = sorted(needed - seen)
    # Forward secrecy was renamed between versions of the scanner.
    if not seen & {"PFS", "FS"}:
        missing.append("FS")
    bad = []
    for one in found:
        name = one["id"].split(" ")[0]
        if one["severity"] in GOOD:
            continue
        if name in ACCEPTED:
            print(f"accepted {one['severity']:8} {one['id']}: {one['finding']} ({ACCEPTED[name]})")
        else:
            bad.append(one)
            print(f"REFUSED  {one['severity']:8} {one['id']}: {one['finding']}")
    if missing:
        print("the scan did not come to:", ", ".join(missing))
    print(f"{len(found)} findings, {len(bad)} above low that nobody accepted")
    return 1 if bad or missing else 0


if __name__ == "__main__":
    sys.exit(main())

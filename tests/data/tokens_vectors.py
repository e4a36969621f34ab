#!/usr/bin/env python3
"""Makes tokens_vectors.jsonl: signed tokens by an implementation that is not ours.

Needs the package `cryptography`. Each line is a key ({"key", "jwk"}) or a vector ({"case",
"reason", "verdict", "keys", "token"}). Keys are drawn anew on each run and thrown away after it.

    python3 tests/data/tokens_vectors.py > tests/data/tokens_vectors.jsonl
"""
import base64
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, padding, rsa, utils

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_N = int(
    "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
    "581A0DB248B0A77AECEC196ACCC52973", 16)
ED_L = 2**252 + 27742317777372353535851937790883648493
PAYLOAD = {"sub": "alice"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def line(**members):
    print(json.dumps(members, separators=(",", ":")))


def publish(name, jwk):
    line(key=name, jwk={"kid": name, **jwk})


def rsa_jwk(key, **more):
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(public.n), "e": number(public.e), **more}


def ec_jwk(key, curve, size, **more):
    public = key.public_key().public_numbers()
    return {"kty": "EC", "crv": curve, "x": number(public.x, size), "y": number(public.y, size), **more}


def ed_jwk(key, **more):
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw()), **more}


def message(header, payload=PAYLOAD):
    return b64(json.dumps(header).encode()) + "." + b64(json.dumps(payload).encode())


def rs(key, text, bits):
    return key.sign(text.encode(), padding.PKCS1v15(), HASHES[bits])


def ps(key, text, bits, salt=None, mgf=None):
    pss = padding.PSS(padding.MGF1(HASHES[mgf or bits]),
                      HASHES[bits].digest_size if salt is None else salt)
    return key.sign(text.encode(), pss, HASHES[bits])


def es_numbers(key, text, bits):
    return utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(HASHES[bits])))


def es(key, text, bits, size):
    r, s = es_numbers(key, text, bits)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def vector(verdict, case, reason, keys, text, signature):
    line(case=case, reason=reason, verdict=verdict, keys=keys, token=f"{text}.{b64(signature)}")


def head(alg, kid, **more):
    return message({"alg": alg, "kid": kid, **more})


# ------------------------------------------------------------------------------------ keys
rsa2048 = rsa.generate_private_key(65537, 2048)
rsa3072 = rsa.generate_private_key(65537, 3072)
rsa_e3 = rsa.generate_private_key(3, 2048)
rsa1024 = rsa.generate_private_key(65537, 1024)
p256, p384, p521 = (ec.generate_private_key(c()) for c in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
k256 = ec.generate_private_key(ec.SECP256K1())
ed, other_ed = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
ed4 = ed448.Ed448PrivateKey.generate()
other_p256 = ec.generate_private_key(ec.SECP256R1())

publish("rsa", rsa_jwk(rsa2048))
publish("rsa3072", rsa_jwk(rsa3072))
publish("rsa_e3", rsa_jwk(rsa_e3))
publish("rsa1024", rsa_jwk(rsa1024))
publish("rsa_enc", rsa_jwk(rsa2048, use="enc"))
publish("rsa_ops_encrypt", rsa_jwk(rsa2048, key_ops=["encrypt"]))
publish("rsa_ops_verify", rsa_jwk(rsa2048, use="sig", key_ops=["verify"]))
publish("rsa_alg_rs256", rsa_jwk(rsa2048, alg="RS256"))
publish("rsa_alg_oaep", rsa_jwk(rsa2048, alg="RSA-OAEP"))
publish("rsa_e1", {"kty": "RSA", "n": rsa_jwk(rsa2048)["n"], "e": "AQ"})
publish("rsa_private", rsa_jwk(rsa2048, d=number(rsa2048.private_numbers().d)))
publish("p256", ec_jwk(p256, "P-256", 32))
publish("p256_other", ec_jwk(other_p256, "P-256", 32))
publish("p384", ec_jwk(p384, "P-384", 48))
publish("p521", ec_jwk(p521, "P-521", 66))
publish("k256", ec_jwk(k256, "secp256k1", 32))
publish("p256_as_p384", ec_jwk(p256, "P-384", 48))
publish("p384_as_p256", ec_jwk(p384, "P-256", 48))
publish("p256_off_curve", {**ec_jwk(p256, "P-256", 32), "x": number(1, 32)})
publish("p256_long_x", {**ec_jwk(p256, "P-256", 32),
                        "x": number(p256.public_key().public_numbers().x, 33)})
publish("p256_zero", {"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))})
publish("ed", ed_jwk(ed))
publish("ed_other", ed_jwk(other_ed))
publish("ed448", {"kty": "OKP", "crv": "Ed448", "x": b64(ed4.public_key().public_bytes_raw())})
publish("ed448_as_ed25519", {"kty": "OKP", "crv": "Ed25519", "x": b64(ed4.public_key().public_bytes_raw())})
publish("ed_neutral", {"kty": "OKP", "crv": "Ed25519", "x": b64(b"\x01" + bytes(31))})
publish("oct", {"kty": "oct", "k": b64(b"secret")})

# ----------------------------------------------------------------------------------- valid
for bits in HASHES:
    for name, key in (("rsa", rsa2048), ("rsa3072", rsa3072)):
        text = head(f"RS{bits}", name)
        vector("valid", f"RS{bits} {name}", "PKCS#1 v1.5 as it should be", [name], text, rs(key, text, bits))
        text = head(f"PS{bits}", name)
        vector("valid", f"PS{bits} {name}", "PSS, the salt as long as the hash", [name], text, ps(key, text, bits))
text = head("RS256", "rsa_e3")
vector("valid", "RS256 with e=3", "a small odd exponent is allowed", ["rsa_e3"], text, rs(rsa_e3, text, "256"))
text = head("RS256", "rsa_alg_rs256")
vector("valid", "the key's alg is the token's", "they agree", ["rsa_alg_rs256"], text, rs(rsa2048, text, "256"))
text = head("RS256", "rsa_ops_verify")
vector("valid", "the key is for verifying", "use and key_ops say so", ["rsa_ops_verify"], text, rs(rsa2048, text, "256"))
text = head("ES256", "p256", typ="JWT")
vector("valid", "ES256", "r and s of 32 bytes", ["p256"], text, es(p256, text, "256", 32))
r, s = es_numbers(p256, text, "256")
vector("valid", "ES256 with n - s", "ECDSA allows both signs", ["p256"], text,
       r.to_bytes(32, "big") + (P256_N - s).to_bytes(32, "big"))
while True:  # a signature whose r starts with a zero byte
    text = message({"alg": "ES256", "kid": "p256", "jti": b64(s.to_bytes(32, "big"))})
    r, s = es_numbers(p256, text, "256")
    if r < 2**248:
        break
vector("valid", "ES256 with a short r", "padded to 32 bytes", ["p256"], text,
       r.to_bytes(32, "big") + s.to_bytes(32, "big"))
short_r = (text, r, s)
text = head("ES384", "p384")
vector("valid", "ES384", "r and s of 48 bytes", ["p384"], text, es(p384, text, "384", 48))
text = head("EdDSA", "ed")
vector("valid", "EdDSA", "Ed25519", ["ed"], text, ed.sign(text.encode()))
text = message({"alg": "ES256"})
vector("valid", "no kid, one key", "it can only be this one", ["p256"], text, es(p256, text, "256", 32))
vector("valid", "no kid, several keys", "each that fits may be tried", ["p256_other", "rsa", "ed", "p256"],
       text, es(p256, text, "256", 32))
text = head("ES256", "p256")
vector("valid", "bad keys beside the good one", "they do not spoil it",
       ["oct", "p521", "rsa_private", "p256_zero", "ed448", "p256"], text, es(p256, text, "256", 32))

# ------------------------------------------------------------------------ RSA, its padding
for bits in HASHES:
    text = head(f"RS{bits}", "rsa")
    for wrong in HASHES.keys() - {bits}:
        vector("invalid", f"RS{bits} with SHA-{wrong}", "another hash", ["rsa"], text, rs(rsa2048, text, wrong))
    vector("invalid", f"RS{bits} with PSS", "the other padding", ["rsa"], text, ps(rsa2048, text, bits))
    vector("invalid", f"RS{bits} by another key", "another key", ["rsa"], text, rs(rsa_e3, text, bits))
    text = head(f"PS{bits}", "rsa")
    for wrong in HASHES.keys() - {bits}:
        vector("invalid", f"PS{bits} with SHA-{wrong}", "another hash", ["rsa"], text, ps(rsa2048, text, wrong))
    vector("invalid", f"PS{bits} with PKCS#1", "the other padding", ["rsa"], text, rs(rsa2048, text, bits))
    vector("invalid", f"PS{bits} without salt", "the salt must be as long as the hash", ["rsa"], text,
           ps(rsa2048, text, bits, salt=0))
    vector("invalid", f"PS{bits} with a salt of 20", "the salt must be as long as the hash", ["rsa"], text,
           ps(rsa2048, text, bits, salt=20))
    vector("invalid", f"PS{bits} with another mask", "MGF1 must use the same hash", ["rsa"], text,
           ps(rsa2048, text, bits, mgf="384" if bits != "384" else "256"))

text = head("RS256", "rsa")
good = rs(rsa2048, text, "256")
n = rsa2048.public_key().public_numbers().n
d = rsa2048.private_numbers().d
value = int.from_bytes(good, "big")
for case, signature in (
    ("one byte longer", b"\0" + good),
    ("one byte shorter", good[1:]),
    ("one byte behind", good + b"\0"),
    ("empty but for a zero", b"\0"),
    ("all zero", bytes(256)),
    ("one", (1).to_bytes(256, "big")),
    ("n - 1", (n - 1).to_bytes(256, "big")),
    ("n", n.to_bytes(256, "big")),
    ("all ones", b"\xff" * 256),
    ("plus n", (value + n).to_bytes(257, "big")),
):
    vector("invalid", f"RS256 signature {case}", "not the signature", ["rsa"], text, signature)

DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
hasher = hashes.Hash(hashes.SHA256())
hasher.update(text.encode())
digest = hasher.finalize()


def raw_rsa(block):
    return pow(int.from_bytes(block, "big"), d, n).to_bytes(256, "big")


def padded(info, fill=b"\xff", kind=b"\x01", size=256):
    return b"\0" + kind + fill * (size - 3 - len(info)) + b"\0" + info


info = DIGEST_INFO + digest
for case, block in (
    ("block type 0", padded(info, kind=b"\x00")),
    ("block type 2", padded(info, kind=b"\x02")),
    ("zero filling", padded(info, fill=b"\x00")),
    ("other filling", padded(info, fill=b"\xfe")),
    ("garbage behind the digest", b"\0\1" + b"\xff" * 8 + b"\0" + info + b"\x5a" * (245 - len(info))),
    ("digest without its name", padded(digest)),
    ("name without parameters", padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest)),
    ("length in long form", padded(bytes.fromhex("308131300d060960864801650304020105000420") + digest)),
    ("another digest", padded(DIGEST_INFO + bytes(32))),
    ("short filling", b"\0\1" + b"\xff" * 7 + b"\0" + info + bytes(246 - len(info))),
):
    vector("invalid", f"RS256 block with {case}", "not the one encoding of PKCS#1", ["rsa"], text, raw_rsa(block))
assert raw_rsa(padded(info)) == good

# e=3 and lax parsing: a cube root is easily found, no private key needed.
text = head("RS256", "rsa_e3")
hasher = hashes.Hash(hashes.SHA256())
hasher.update(text.encode())
prefix = b"\0\1" + b"\xff" * 8 + b"\0" + DIGEST_INFO + hasher.finalize()
target = int.from_bytes(prefix + b"\xff" * (256 - len(prefix)), "big")
low, high = 0, 2**700
while low < high:
    middle = (low + high + 1) // 2
    low, high = (middle, high) if middle**3 <= target else (low, middle - 1)
assert (low**3).to_bytes(256, "big").startswith(prefix)
vector("invalid", "a cube root", "Bleichenbacher's forgery of 2006", ["rsa_e3"], text, low.to_bytes(256, "big"))
text = head("RS256", "rsa_e1")
hasher = hashes.Hash(hashes.SHA256())
hasher.update(text.encode())
vector("invalid", "e=1", "the padded message is its own signature", ["rsa_e1"], text,
       padded(DIGEST_INFO + hasher.finalize()))

# ----------------------------------------------------------------------------- ECDSA, edges
for alg, kid, key, bits, size, order in (("ES256", "p256", p256, "256", 32, P256_N),
                                         ("ES384", "p384", p384, "384", 48, P384_N)):
    text = head(alg, kid)
    r, s = es_numbers(key, text, bits)
    top = 2 ** (8 * size) - 1
    for case, (one, two) in {
        "r=0": (0, s), "s=0": (r, 0), "r=0 s=0": (0, 0), "r=1 s=1": (1, 1), "r=n": (order, s),
        "s=n": (r, order), "r=n s=n": (order, order), "s=n-1": (r, order - 1), "r=n-1": (order - 1, s),
        "s=n+1": (r, order + 1), "r and s swapped": (s, r), "all ones": (top, top), "r=n-r": (order - r, s),
    }.items():
        vector("invalid", f"{alg} {case}", "not the signature", [kid], text,
               one.to_bytes(size, "big") + two.to_bytes(size, "big"))
    whole = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if r + order <= top:
        vector("invalid", f"{alg} r+n", "r must be below n", [kid], text, (r + order).to_bytes(size, "big") + whole[size:])
    for case, signature in (
        ("in DER", utils.encode_dss_signature(r, s)),
        ("one byte shorter", whole[:-1]), ("one byte longer", whole + b"\0"),
        ("one byte before", b"\0" + whole), ("twice", whole + whole), ("r alone", whole[:size]),
        ("both padded by a byte", b"\0" + whole[:size] + b"\0" + whole[size:]),
    ):
        vector("invalid", f"{alg} {case}", "another form", [kid], text, signature)
text, r, s = short_r
vector("invalid", "ES256 with r cut", "leading zeros are part of the form", ["p256"], text,
       r.to_bytes(31, "big") + s.to_bytes(32, "big"))
text = head("ES256", "p256")
vector("invalid", "ES256 by another key", "another key", ["p256"], text, es(other_p256, text, "256", 32))
vector("invalid", "ES256 with SHA-384", "another hash", ["p256"], text, es(p256, text, "384", 32))
text = head("ES384", "p384")
vector("invalid", "ES384 with SHA-256", "another hash", ["p384"], text, es(p384, text, "256", 48))

# ---------------------------------------------------------------------------------- Ed25519
text = head("EdDSA", "ed")
good = ed.sign(text.encode())
scalar = int.from_bytes(good[32:], "little")
for case, signature in (
    ("S + L", good[:32] + (scalar + ED_L).to_bytes(32, "little")),
    ("S + 2 L", good[:32] + (scalar + 2 * ED_L).to_bytes(32, "little")),
    ("S = 0", good[:32] + bytes(32)),
    ("S = L", good[:32] + ED_L.to_bytes(32, "little")),
    ("R = 0", bytes(32) + good[32:]),
    ("all zero", bytes(64)),
    ("neutral R, S = 0", b"\x01" + bytes(63)),
    ("all ones", b"\xff" * 64),
    ("swapped", good[32:] + good[:32]),
    ("one byte shorter", good[:-1]),
    ("one byte longer", good + b"\0"),
    ("sign of R flipped", good[:31] + bytes([good[31] ^ 0x80]) + good[32:]),
    ("by another key", other_ed.sign(text.encode())),
):
    vector("invalid", f"EdDSA {case}", "not the signature", ["ed"], text, signature)
text = head("EdDSA", "ed_neutral")
vector("invalid", "a key of small order", "its signature fits every message", ["ed_neutral"], text,
       b"\x01" + bytes(63))
text = head("EdDSA", "ed448")
vector("invalid", "Ed448", "not taken", ["ed448"], text, ed4.sign(text.encode()))
text = head("EdDSA", "ed448_as_ed25519")
vector("invalid", "an Ed448 key called Ed25519", "another length", ["ed448_as_ed25519"], text, ed4.sign(text.encode()))

# ----------------------------------------------------- keys that are not for it, or are none
for kid in ("rsa_enc", "rsa_ops_encrypt", "rsa_alg_oaep", "rsa_private"):
    text = head("RS256", kid)
    vector("invalid", f"RS256 by {kid}", "the key is not for signatures, or nobody's alone", [kid], text,
           rs(rsa2048, text, "256"))
text = head("RS256", "rsa1024")
vector("invalid", "RSA of 1024 bits", "too short", ["rsa1024"], text, rs(rsa1024, text, "256"))
text = head("PS256", "rsa_alg_rs256")
vector("invalid", "PS256 by a key for RS256", "the key's alg differs", ["rsa_alg_rs256"], text, ps(rsa2048, text, "256"))
text = head("ES512", "p521")
vector("invalid", "ES512", "not taken", ["p521"], text, es(p521, text, "512", 66))
text = head("ES256K", "k256")
vector("invalid", "ES256K", "not taken", ["k256"], text, es(k256, text, "256", 32))
text = head("ES256", "k256")
vector("invalid", "secp256k1 under ES256", "another curve", ["k256"], text, es(k256, text, "256", 32))
for kid, alg, key, bits, size in (("p256_as_p384", "ES384", p256, "384", 48), ("p384_as_p256", "ES256", p384, "256", 48),
                                  ("p256_off_curve", "ES256", p256, "256", 32), ("p256_long_x", "ES256", p256, "256", 32),
                                  ("p256_zero", "ES256", p256, "256", 32)):
    text = head(alg, kid)
    vector("invalid", f"{alg} by {kid}", "no point of that curve", [kid], text, es(key, text, bits, size))
text = head("ES384", "p256")
vector("invalid", "ES384 by a P-256 key", "another curve", ["p256"], text, es(p256, text, "384", 48))
text = head("RS256", "p256")
vector("invalid", "RS256 by an EC key", "another kind of key", ["p256"], text, es(p256, text, "256", 32))
text = head("ES256", "rsa")
vector("invalid", "ES256 by an RSA key", "another kind of key", ["rsa"], text, rs(rsa2048, text, "256"))
text = head("EdDSA", "p256")
vector("invalid", "EdDSA by an EC key", "another kind of key", ["p256"], text, es(p256, text, "256", 32))
text = head("ES256", "nobody")
vector("invalid", "an unknown kid", "no such key", ["p256"], text, es(p256, text, "256", 32))
text = head("ES256", "p256_other")
vector("invalid", "the kid of another key", "another key", ["p256", "p256_other"], text, es(p256, text, "256", 32))

# -------------------------------------------------------------------------------- the header
for case, reason, header in (
    ("crit", "an extension that we do not know", {"alg": "ES256", "kid": "p256", "crit": ["x"], "x": 1}),
    ("b64", "not for tokens", {"alg": "ES256", "kid": "p256", "b64": True}),
    ("typ of an access token", "another kind of token", {"alg": "ES256", "kid": "p256", "typ": "at+jwt"}),
    ("alg in lower case", "names are exact", {"alg": "es256", "kid": "p256"}),
    ("alg missing", "nothing says how", {"kid": "p256"}),
    ("alg none, signed", "none is no algorithm", {"alg": "none", "kid": "p256"}),
    ("alg HS256, signed by EC", "a MAC is no signature", {"alg": "HS256", "kid": "p256"}),
    ("kid no text", "malformed", {"alg": "ES256", "kid": 1}),
):
    text = message(header)
    vector("invalid", case, reason, ["p256"], text, es(p256, text, "256", 32))

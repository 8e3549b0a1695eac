from __future__ import annotations

import base64

from diffusionapi.webhooks import signing


def test_the_published_example_is_signed_as_published() -> None:
    """Standard Webhooks 1.0, the example that its libraries test themselves by."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, b'{"test": 2432232314}', key)
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_key_nothing_is_signed() -> None:
    assert set(signing.headers("id", 1.0, b"", b"")) == {"webhook-id", "webhook-timestamp"}


def test_a_key_is_shared_as_libraries_take_it() -> None:
    assert signing.shared(b"\0\xff") == "whsec_AP8="

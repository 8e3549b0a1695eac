"""Pictures of strangers: had from bytes, base64 or URLs, checked, and made anew as files of ours."""

"""The APIs on the wire. Each dialect is a translation and nothing else; no dialect imports another."""

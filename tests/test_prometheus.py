from __future__ import annotations

from diffusionapi.prometheus import Family, Sample, counter, gauge, text


def test_figures_are_written_as_prometheus_reads_them() -> None:
    lanes = Family(
        "waiting", "gauge", "By model.", (Sample(2, {"model": 'a"b\\c\nd', "kind": "x"}), Sample(0.5))
    )
    assert text([gauge("up", "Is it?", 1), counter("steps_total", "Steps.", 1234567), lanes]) == (
        "# HELP diffusionapi_up Is it?\n"
        "# TYPE diffusionapi_up gauge\n"
        "diffusionapi_up 1\n"
        "# HELP diffusionapi_steps_total Steps.\n"
        "# TYPE diffusionapi_steps_total counter\n"
        "diffusionapi_steps_total 1234567\n"
        "# HELP diffusionapi_waiting By model.\n"
        "# TYPE diffusionapi_waiting gauge\n"
        'diffusionapi_waiting{model="a\\"b\\\\c\\nd",kind="x"} 2\n'
        "diffusionapi_waiting 0.5\n"
    )


def test_a_family_without_samples_is_left_out() -> None:
    assert text([Family("waiting", "gauge", "By model.", ())]) == ""

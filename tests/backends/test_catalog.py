"""The catalog reads families from a model repository and survives what is broken in it."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "backends" / "catalog"))

from repository_catalog import read_catalog

UNET = 'name: "fox_unet" backend: "diffusion" max_batch_size: 16'
ENSEMBLE = """
platform: "ensemble" max_batch_size: 16
ensemble_scheduling {
  step [ { model_name: "fox_tokenizer" model_version: 3 }, { model_name: "fox_unet" model_version: 3 } ]
}
"""


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def write_model(repository: Path, name: str, config: str, *versions: int) -> None:
    (repository / name).mkdir()
    (repository / name / "config.pbtxt").write_text(config)
    for version in versions:
        (repository / name / str(version)).mkdir()
        (repository / name / str(version) / "model.onnx").write_bytes(b"weights")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_model(tmp_path, "fox_tokenizer", 'backend: "clip_tokenizer"', 3)
    write_model(tmp_path, "fox_unet", UNET, 3, 10)
    write_model(tmp_path, "fox", ENSEMBLE + parameter("family", "fox") + parameter("version", "3"))
    write_model(tmp_path, "catalog", 'backend: "catalog"', 1)
    return tmp_path


def test_a_family_is_read_with_its_models_and_versions(repository: Path) -> None:
    catalog = read_catalog(repository)
    assert catalog["problems"] == []
    (family,) = catalog["families"]
    assert (family["name"], family["version"]) == ("fox", 3)
    assert family["parameters"] == {"family": "fox", "version": "3"}
    assert family["ensembles"] == {"text-to-image": "fox"}
    assert [(model["name"], model["backend"]) for model in family["models"]] == [
        ("fox_tokenizer", "clip_tokenizer"),
        ("fox_unet", "diffusion"),
    ]
    assert [version["version"] for version in family["models"][1]["versions"]] == [3, 10]


def test_an_upscaler_is_read_with_its_versions_and_changes_its_fingerprint(repository: Path) -> None:
    factor = 'backend: "onnxruntime"' + parameter("upscale_factor", "2")
    write_model(repository, "upscaler_x2", factor + parameter("version", "3"), 2, 3)
    write_model(repository, "upscaler_x4", factor)
    catalog = read_catalog(repository)
    (upscaler,) = catalog["upscalers"]
    assert (upscaler["name"], upscaler["version"]) == ("upscaler_x2", 3)
    assert upscaler["parameters"] == {"upscale_factor": "2", "version": "3"}
    assert [version["version"] for version in upscaler["versions"]] == [2, 3]
    assert catalog["problems"] == ["The upscaler upscaler_x4 has no parameter `version` that is a number."]
    assert [family["name"] for family in catalog["families"]] == ["fox"]
    (repository / "upscaler_x2" / "3" / "model.onnx").write_bytes(b"other weights")
    assert read_catalog(repository)["upscalers"][0]["fingerprint"] != upscaler["fingerprint"]


def test_further_ensembles_of_a_family_are_its_capabilities(repository: Path) -> None:
    inpaint = ENSEMBLE.replace("fox_tokenizer", "fox_vae_encoder") + parameter("family", "fox")
    write_model(repository, "fox_vae_encoder", 'backend: "onnxruntime"', 3)
    write_model(repository, "fox_inpaint", inpaint)
    (family,) = read_catalog(repository)["families"]
    assert family["ensembles"] == {"text-to-image": "fox", "inpainting": "fox_inpaint"}
    assert [model["name"] for model in family["models"]] == ["fox_tokenizer", "fox_unet", "fox_vae_encoder"]


def test_a_family_that_only_repaints_is_found(repository: Path) -> None:
    (repository / "fox").rename(repository / "fox_inpaint")
    (family,) = read_catalog(repository)["families"]
    assert (family["name"], family["ensembles"]) == ("fox", {"inpainting": "fox_inpaint"})


@pytest.mark.parametrize(
    "changed", ["fox_unet/3/model.onnx", "fox_unet/config.pbtxt", "fox/config.pbtxt", "fox_tokenizer/config.pbtxt"]
)
def test_a_change_of_any_file_changes_the_fingerprint(repository: Path, changed: str) -> None:
    before = read_catalog(repository)["families"][0]["fingerprint"]
    assert read_catalog(repository)["families"][0]["fingerprint"] == before
    os.utime(repository / changed, ns=(1, 1))
    assert read_catalog(repository)["families"][0]["fingerprint"] != before


def test_a_change_of_one_version_leaves_the_fingerprint_of_the_other(repository: Path) -> None:
    def fingerprints() -> list[str]:
        return [v["fingerprint"] for v in read_catalog(repository)["families"][0]["models"][1]["versions"]]

    third, tenth = fingerprints()
    (repository / "fox_unet" / "10" / "model.onnx").write_bytes(b"other weights")
    assert fingerprints()[0] == third
    assert fingerprints()[1] != tenth


def test_a_new_version_folder_changes_the_fingerprint(repository: Path) -> None:
    before = read_catalog(repository)["families"][0]["fingerprint"]
    (repository / "fox_unet" / "11").mkdir()
    (repository / "fox_unet" / "11" / "model.onnx").write_bytes(b"weights")
    assert read_catalog(repository)["families"][0]["fingerprint"] != before


def test_a_broken_config_is_a_problem_and_hides_no_family(repository: Path) -> None:
    write_model(repository, "broken", "max_batch_size: {")
    (repository / "empty").mkdir()
    catalog = read_catalog(repository)
    assert [family["name"] for family in catalog["families"]] == ["fox"]
    assert len(catalog["problems"]) == 2
    assert catalog["problems"][0].startswith("broken/config.pbtxt cannot be read: ")
    assert catalog["problems"][1] == "The folder empty has no config.pbtxt."


def test_a_missing_step_is_a_problem(repository: Path) -> None:
    (repository / "fox_unet" / "config.pbtxt").write_text("}")
    catalog = read_catalog(repository)
    assert catalog["families"] == []
    assert "The family fox needs the model fox_unet, which the repository does not have." in catalog["problems"]


def test_a_stranger_in_the_family_is_a_problem(repository: Path) -> None:
    write_model(repository, "wolf", ENSEMBLE + parameter("family", "fox"))
    (problem,) = read_catalog(repository)["problems"]
    assert problem.startswith("The ensemble wolf says that it belongs to the family fox")


def test_a_family_without_a_version_is_a_problem(repository: Path) -> None:
    (repository / "fox" / "config.pbtxt").write_text(ENSEMBLE + parameter("family", "fox"))
    catalog = read_catalog(repository)
    assert catalog["families"] == []
    assert catalog["problems"] == ["The family fox has no parameter `version` that is a number."]


def test_a_query_names_one_family(repository: Path) -> None:
    write_model(repository, "wolf", ENSEMBLE + parameter("family", "wolf") + parameter("version", "3"))
    assert [family["name"] for family in read_catalog(repository)["families"]] == ["fox", "wolf"]
    assert [family["name"] for family in read_catalog(repository, "wolf")["families"]] == ["wolf"]
    assert read_catalog(repository, "bear")["problems"] == ["The repository has no family bear."]


def test_fields_of_a_newer_triton_are_accepted(repository: Path) -> None:
    (repository / "fox_unet" / "config.pbtxt").write_text(UNET + " not_in_this_triton: 4")
    assert read_catalog(repository)["problems"] == []

"""A version that loads and makes no picture is refused. (Others: test_redeploy.)"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from click.testing import CliRunner
from onnx import numpy_helper

from benchmarks.verify.other_version import stage_other_version
from export.deployment import Deployment
from export.repository import Repository
from standalone.command import main
from standalone.stack import StackSettings


def test_a_version_whose_pictures_are_of_one_colour_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "model_repository")
    shutil.copytree(StackSettings().repository, repository.path)
    with repository.staging() as staged:
        deployment = Deployment.open(repository, "demo")
        stage_other_version(deployment, staged, 2)
        graph = staged / "demo_vae_decoder" / "2" / "model.onnx"
        model = onnx.load(graph)
        weight = model.graph.initializer[0]
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(np.nan), weight.name))
        onnx.save(model, graph)
        deployment.add(staged, 2)
    outcome = CliRunner().invoke(main, ["versions", "activate", "demo", "--repository", str(repository.path)])
    assert outcome.exit_code == 1
    assert "Version 2 of demo failed its trial: its picture is of one single colour" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model_repository"]
    listed = CliRunner().invoke(main, ["versions", "list", "demo", "--json", "--repository", str(repository.path)])
    assert [version["active"] for version in json.loads(listed.stdout)["versions"]] == [True, False]

from dataclasses import replace

from tests.studies import in_memory
from ugro.analysis.findings.next_command import (
    follow_up_command,
    resume_command,
    single_trial_command,
)
from ugro.analysis.tables import Tables, tables_of


def begun(name: str, *overrides: str) -> Tables:
    return replace(tables_of(in_memory(name=name)), overrides=overrides)


def test_the_same_study_goes_on_with_one_thing_changed() -> None:
    tables = begun("mine", "experiment=quickstart", "study.confirm=2", "hydra.sweeper.n_jobs=2")
    assert resume_command(tables, "study.confirm=3") == (
        "python train.py -m experiment=quickstart study.confirm=3 hydra.sweeper.n_jobs=2 "
        "study.name=mine"
    )


def test_a_new_study_has_a_new_name_and_begins_with_the_best_of_this_one() -> None:
    assert follow_up_command(
        begun("mine", "study.name=mine", "lora.r=4,8"), "lora.r=choice(8,16)"
    ) == ("python train.py -m study.name=mine_2 'lora.r=choice(8,16)' 'study.warm_start=[mine]'")
    assert "study.name=mine_3 " in follow_up_command(begun("mine_2", "model=tiny"))
    assert "study.name=2026-11-25_02-53-40_2 " in follow_up_command(
        begun("2026-11-25_02-53-40", "model=tiny")
    )


def test_a_study_in_a_folder_of_its_own_is_found_there_and_not_written_over() -> None:
    command = follow_up_command(begun("mine", "study.dir=/data/mine", "model=tiny"))
    assert "study.dir=" not in command
    assert "'study.warm_start=[/data/mine]'" in command


def test_a_record_on_a_server_is_no_warm_start() -> None:
    command = follow_up_command(
        begun("mine", "hydra.sweeper.storage=postgresql+psycopg://host/studies")
    )
    assert "study.warm_start" not in command
    assert "hydra.sweeper.storage=postgresql+psycopg://host/studies" in command


def test_one_trial_by_itself_is_no_sweep_and_no_study() -> None:
    given = ("search_space=lora", "study.name=mine", "lora.r=4,8", "hydra/launcher=basic")
    assert single_trial_command(
        begun("mine", *given), ["lora.r=8", "lora.target_modules=[q_proj,v_proj]"]
    ) == ("python train.py search_space=lora lora.r=8 'lora.target_modules=[q_proj,v_proj]'")


def test_where_nobody_knows_how_a_study_was_begun_there_is_no_command() -> None:
    tables = begun("foreign")
    assert (
        resume_command(tables, "a=1")
        == follow_up_command(tables, "a=1")
        == single_trial_command(tables, ["a=1"])
        == ""
    )


def test_what_was_searched_and_this_trial_had_no_use_for_is_left_out() -> None:
    given = ("lora.r=4,8", "lora.alpha=choice(8,16)", "data.train_files=[a,b]")
    assert single_trial_command(begun("mine", *given), ["lora.r=8"]) == (
        "python train.py lora.r=8 'data.train_files=[a,b]'"
    )


def test_a_folder_of_configurations_comes_first_and_stays() -> None:
    tables = begun("mine", "--config-dir=/my confs", "experiment=best", "lora.r=4,8")
    assert resume_command(tables).startswith(
        "python train.py -m '--config-dir=/my confs' experiment=best"
    )
    assert (
        single_trial_command(tables, ["lora.r=8"]).split(" lora.r")[0].endswith("experiment=best")
    )


def test_a_name_that_reads_as_a_number_stays_a_name() -> None:
    assert resume_command(begun("12", "lora.r=4,8")).endswith("'study.name=\"12\"'")
    assert "'study.warm_start=[\"12\"]'" in follow_up_command(begun("12", "lora.r=4,8"))

"""The label book and new types, as a person works on them."""

from core.state import catalog
from core.state.label_book import find_entry, list_offered
from core.state.workspace import Workspace
from tests.pages.conftest import OpenPage, choose, click, texts


def test_a_type_is_renamed_after_its_effects_are_told_and_taken_back(
    open_page: OpenPage, small: Workspace
) -> None:
    name = list_offered(small)[0]
    n_images = find_entry(small, name).n_images
    at = open_page("defect_types")
    assert f"{n_images} images bear it" in texts(at)
    at.text_input(key="defect_types.change.name").set_value("blister").run()
    at.button(key="defect_types.change.rename").click().run()
    assert not at.exception
    assert find_entry(small, "blister").n_images == n_images
    assert at.selectbox(key="defect_types.type").value == "blister"
    at.button(key="defect_types.change.undo").click().run()
    assert find_entry(small, name).n_images == n_images


def test_a_type_is_defined_and_has_its_own_key(open_page: OpenPage, small: Workspace) -> None:
    name = list_offered(small)[0]
    entry = find_entry(small, name)
    at = open_page("defect_types")
    at.text_area(key=f"defect_types.book.definition.{entry.id}").set_value("A spot.")
    at.selectbox(key=f"defect_types.book.key.{entry.id}").set_value("g")
    click(at, f"FormSubmitter:defect_types.book.form.{entry.id}-Keep")
    entry = find_entry(small, name)
    assert (entry.definition, entry.shortcut) == ("A spot.", "g")


def test_picked_images_become_a_type_and_more_of_it_is_looked_for(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = catalog.image_ids(small).tolist()[:3]
    at = open_page("defect_types")
    at.session_state["defect_types.examples"] = tuple(ids)
    choose(at, "defect_types.view", "New type")
    assert "3 images show the new type" in texts(at)
    at.text_input(key="defect_types.new.name").set_value("blister")
    next(each for each in at.button if "find more" in each.label).click().run()
    assert not at.exception
    assert find_entry(small, "blister").images == {"example": tuple(ids)}
    assert at.segmented_control(key="defect_types.view").value == "More of a type"
    assert at.selectbox(key="defect_types.type").value == "blister"

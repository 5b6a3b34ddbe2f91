"""What can be imported: each layout's name, what it is, and an example to compare with."""

import streamlit as st

TITLES = {
    "folder": "Class folders",
    "csv": "CSV table",
    "parquet": "Parquet table",
    "yolo": "YOLO",
    "coco": "COCO",
    "voc": "Pascal VOC",
    "roboflow": "Roboflow",
    "label-studio": "Label Studio",
}

_LAYOUTS = (
    (
        TITLES["folder"],
        "A folder a class: its name is the label.",
        "scratch/001.jpg\nscratch/002.png\ndirt/a/17.tif",
    ),
    (
        "… with splits above it",
        "train, valid (or val), calibration, test.",
        "train/scratch/001.jpg\nvalid/dirt/002.jpg\ntest/dirt/003.jpg",
    ),
    (
        "Images without labels",
        "They are labelled here, by eye or by a model.",
        "001.jpg\n002.jpg\n003.jpg",
    ),
    (
        TITLES["csv"],
        "Only `path` is needed; further columns come along.",
        "path,label,split,line\na/1.jpg,dirt,train,2\na/2.jpg,drop,test,3",
    ),
    (
        TITLES["parquet"],
        "The same columns, as data tools write them.",
        "labels.parquet\nimages/1.jpg\nimages/2.jpg",
    ),
    (
        TITLES["yolo"],
        "A text file of boxes an image, the classes in `data.yaml`.",
        "data.yaml\nimages/train/7.jpg\nlabels/train/7.txt",
    ),
    (
        TITLES["coco"],
        "One JSON file of boxes for many images.",
        "annotations/train.json\ntrain/7.jpg\ntrain/8.jpg",
    ),
    (
        TITLES["voc"],
        "An XML file of boxes an image.",
        "images/7.jpg\nannotations/7.xml",
    ),
    (
        TITLES["roboflow"],
        "An export as it is downloaded, of any of its formats.",
        "README.roboflow.txt\ntrain/images/7.jpg\ntrain/labels/7.txt",
    ),
    (
        TITLES["label-studio"],
        "The JSON export beside its images, with who labelled what.",
        "export.json\nimages/7.jpg",
    ),
)
_CARD_WIDTH = 252  # three abreast on a laptop, five on a wide screen


def title(name: str) -> str:
    """What a person calls a format; one that is new here keeps its own name."""
    return TITLES.get(name, name)


def show_formats(*, expanded: bool) -> None:
    """Every layout that is understood, with a small example."""
    with st.expander("What can be imported?", icon=":material/folder_open:", expanded=expanded):
        st.caption(
            "The layout is found out by itself. Boxes are read as labels: one class on an image "
            "is its label, several make it `multiple`; or each box is cut out as an image of its "
            "own. Read are JPEG, PNG, TIFF, BMP, WebP and GIF."
        )
        with st.container(horizontal=True, gap="medium"):
            for name, what, example in _LAYOUTS:
                with st.container(width=_CARD_WIDTH, gap="xsmall"):
                    st.markdown(f"**{name}**  \n:small[{what}]")
                    st.code(example, language=None)

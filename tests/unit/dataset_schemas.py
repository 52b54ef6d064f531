"""JSON Schemas of the dataset formats, written from their documentation.

AutoML: https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema
COCO: https://cocodataset.org/#format-data, and for classification, which has no boxes,
https://learn.microsoft.com/azure/ai-services/computer-vision/concept-model-customization
"""

from typing import Any

SIZE = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\d+px$"}]}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
NAME = {"type": "string", "minLength": 1}
BOX = {
    "type": "object",
    "required": ["label", "topX", "topY", "bottomX", "bottomY"],
    "additionalProperties": False,
    "properties": {
        "label": NAME,
        "topX": SHARE,
        "topY": SHARE,
        "bottomX": SHARE,
        "bottomY": SHARE,
        "isCrowd": {"enum": [0, 1, True, False]},
    },
}
LABELS: dict[str, Any] = {
    "multiclass": NAME,
    "multilabel": {"type": "array", "items": NAME, "minItems": 1},
    "detection": {"type": "array", "items": BOX, "minItems": 1},
}
LINES: dict[str, dict[str, Any]] = {
    kind: {
        "type": "object",
        "required": ["image_url", "label"],
        "additionalProperties": False,
        "properties": {
            "image_url": {
                "type": "string",
                "pattern": r"^(azureml://subscriptions/[^/]+/resourcegroups/[^/]+/workspaces/[^/]+/datastores/[^/]+/"
                r"paths/.+|https?://.+)$",
            },
            "image_details": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "format": {"enum": ["jpg", "jpeg", "png", "jpe", "jfif", "bmp", "tif", "tiff"]},
                    "width": SIZE,
                    "height": SIZE,
                },
            },
            "label": label,
        },
    }
    for kind, label in LABELS.items()
}
"""By the kind of project: what a line of AutoML's training data is."""

ID = {"type": "integer", "minimum": 1}
COCO: dict[str, Any] = {
    "type": "object",
    "required": ["info", "images", "annotations", "categories"],
    "properties": {
        "info": {"type": "object", "required": ["description", "version", "year", "date_created"]},
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "file_name", "width", "height"],
                "properties": {
                    "id": ID,
                    "file_name": NAME,
                    "width": {"type": "integer", "minimum": 1},
                    "height": {"type": "integer", "minimum": 1},
                },
            },
        },
        "categories": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "name", "supercategory"], "properties": {"id": ID}},
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "image_id", "category_id"],
                "properties": {
                    "id": ID,
                    "image_id": ID,
                    "category_id": ID,
                    "iscrowd": {"enum": [0, 1]},
                    "bbox": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 4, "maxItems": 4},
                    "area": {"type": "number", "minimum": 0},
                },
            },
        },
    },
}

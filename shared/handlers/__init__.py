"""What a rule can do: each step's name, and where its parameters and stages are.

A handler is one module: a pydantic model of parameters, plain functions that find, start and watch, and `STAGES`.
Nothing is imported here; a step's module is imported when a rules file uses it.
"""

from collections.abc import Mapping

ACTIONS: Mapping[str, str] = {
    "run.job": "shared.handlers.machine_learning.jobs:PipelineJob",
    "run.data_factory": "shared.handlers.run:DataFactory",
    "register.model": "shared.handlers.machine_learning.register:Model",
    "deploy.batch_endpoint": "shared.handlers.machine_learning.deploy:BatchEndpoint",
    "invoke.batch_endpoint": "shared.handlers.machine_learning.invoke:BatchEndpoint",
    "deploy.online_endpoint": "shared.handlers.machine_learning.online:OnlineEndpoint",
    "retire.online_deployment": "shared.handlers.machine_learning.retire:OnlineDeployment",
    "train.vision": "shared.handlers.vision.train:Vision",
    "publish.vision": "shared.handlers.vision.publish:Vision",
    "export.vision": "shared.handlers.vision.export:Vision",
    "prune.vision": "shared.handlers.vision.prune:Vision",
    "backup.vision_export": "shared.handlers.backups.models:VisionExport",
    "prune.backups": "shared.handlers.backups.retention:Backups",
    "backup.vision_dataset": "shared.handlers.backups.dataset:VisionDataset",
    "replicate.vision": "shared.handlers.vision.replicate:Vision",
    "backup.language": "shared.handlers.language.backup:Language",
    "replicate.language": "shared.handlers.language.replicate:Language",
    "restore.language": "shared.handlers.language.restore:Language",
    "approval": "shared.handlers.approval:Approval",
    "gate": "shared.handlers.gate:Gate",
    "alert": "shared.handlers.alert:Alert",
    "forward": "shared.handlers.forward:Forward",
}
"""Step name to "module:Params"; the module's `STAGES[Params]` are its stages.

`RESULTS[Params]` are the results that later steps read as `steps.<id>.…`, nested ones by their path; below a mapping of
somebody's own keys, such as tags, there may be anything.
"""

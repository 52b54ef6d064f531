"""Serve the simulators until SIGTERM: `python -m dev.simulators --storage … --service-storage … --log … --ready …`."""

import argparse
import json
import signal
from pathlib import Path

from dev.simulators.start import start


def main() -> None:
    """Start them, say where they are, wait."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulators", description=__doc__)
    parser.add_argument("--storage", required=True, help="connection string of the app's storage account")
    parser.add_argument("--service-storage", required=True, help="connection string of the services' own account")
    parser.add_argument("--log", type=Path, required=True, help="file that requests are appended to, as JSON lines")
    parser.add_argument("--ready", type=Path, required=True, help="file to write when all of them listen")
    parser.add_argument("--functions", default="", help="the app's address, for Event Grid to deliver to")
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    running = start(
        storage=given.storage,
        service_storage=given.service_storage,
        log=given.log,
        ca=given.ready.with_suffix(".ca.pem").absolute(),
        functions=given.functions,
    )
    written = given.ready.with_suffix(".part")
    written.write_text(json.dumps(running.ready, indent=2))
    written.replace(given.ready)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    running.stop()


if __name__ == "__main__":
    main()

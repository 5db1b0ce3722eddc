"""A foreign client of a cluster: nothing but the proto files and grpcio. Deploys a project folder, runs it, and watches the run to its end.

usage: client.py PROTO_DIR ADDRESS PROJECT_DIR TARGET_JSON

TARGET_JSON is the target of a run as JSON, e.g. {"name": "prod", "profile": "p", "adapter_type": "postgres", …}. Prints a line for each event, and fails where
an event is missing, comes twice, or the run does not succeed.
"""

import hashlib
import importlib
import json
import pathlib
import sys
import tempfile
import uuid

PIECE = 256 << 10


def generate(proto_dir, out):
    """The modules that grpcio-tools makes of the proto files."""
    from grpc_tools import protoc
    import grpc_tools

    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    files = [str(path.relative_to(proto_dir)) for path in sorted(proto_dir.rglob("*.proto"))]
    arguments = ["protoc", f"-I{proto_dir}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    if protoc.main(arguments) != 0:
        raise SystemExit("the proto files cannot be compiled")
    sys.path.insert(0, str(out))


def module(name):
    return importlib.import_module(f"kontiki.v1.{name}")


def collect(project):
    """The project's files by their paths; profiles stay here."""
    files = {}
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and relative.name != "profiles.yml" and relative.parts[0] not in ("target", "logs", ".kontiki"):
            files[relative.as_posix()] = path.read_bytes()
    return files


def pieces(messages, contents):
    for digest, content in contents.items():
        for offset in range(0, max(len(content), 1), PIECE):
            data = content[offset : offset + PIECE]
            yield messages.UploadBlobsRequest(digest=digest, size=len(content), offset=offset, data=data)


def deploy(channel, name, files):
    messages, services = module("project_service_pb2"), module("project_service_pb2_grpc")
    projects = services.ProjectServiceStub(channel)
    contents = {hashlib.sha256(content).digest(): content for content in files.values()}
    missing = projects.FindMissingBlobs(messages.FindMissingBlobsRequest(digests=list(contents))).digests
    projects.UploadBlobs(pieces(messages, {digest: contents[digest] for digest in missing}))
    bundle = [
        messages.BundleFile(path=path, digest=hashlib.sha256(content).digest(), size=len(content))
        for path, content in sorted(files.items())
    ]
    request = messages.DeployProjectRequest(project=name, files=bundle, revision="client")
    deployed = projects.DeployProject(request)
    again = projects.DeployProject(request)
    assert again.bundle_digest == deployed.bundle_digest and not again.changed
    return deployed.bundle_digest


def submit(runs, messages, common, name, target):
    request = messages.SubmitRunRequest(
        request_id=str(uuid.uuid4()), project=name, verb=common.VERB_BUILD, target=messages.Target(**target)
    )
    first, again = runs.SubmitRun(request), runs.SubmitRun(request)
    assert first.is_new and not again.is_new and first.run_id == again.run_id
    return first


def watch(runs, messages, common, run_id):
    """Breaks off after each third event and goes on where it was."""
    seen, state = 0, None
    while state is None:
        stream = runs.WatchRun(messages.WatchRunRequest(run_id=run_id, after_sequence=seen))
        for count, event in enumerate(stream, start=1):
            assert event.sequence == seen + 1, f"{event.sequence} follows {seen}"
            seen = event.sequence
            kind = event.WhichOneof("event")
            if kind == "task":
                print(seen, event.task.task.node_id, common.TaskState.Name(event.task.task.state))
            else:
                print(seen, kind)
            if kind == "finished":
                state = event.finished.state
            if count % 3 == 0:
                stream.cancel()
                break
    return state


def main():
    proto_dir, address, project, target = sys.argv[1:]
    out = tempfile.TemporaryDirectory()
    generate(pathlib.Path(proto_dir), pathlib.Path(out.name))
    import grpc

    messages, common = module("run_service_pb2"), module("common_pb2")
    files = collect(pathlib.Path(project))
    name = next(line.split(":")[1].strip(" '\"") for line in files["dbt_project.yml"].decode().splitlines() if line.startswith("name:"))
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        runs = module("run_service_pb2_grpc").RunServiceStub(channel)
        deploy(channel, name, files)
        accepted = submit(runs, messages, common, name, json.loads(target))
        state = watch(runs, messages, common, accepted.run_id)
        run = runs.GetRun(messages.GetRunRequest(run_id=accepted.run_id, with_tasks=True))
        assert state == run.run.state and len(run.tasks) == accepted.tasks
        assert state == messages.RUN_STATE_SUCCESS, messages.RunState.Name(state)
        try:
            runs.GetRun(messages.GetRunRequest(run_id="nonsense"))
            raise SystemExit("an id that is none was taken")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error


if __name__ == "__main__":
    main()

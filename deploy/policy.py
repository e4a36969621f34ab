"""What the files of this folder promise each other; deploy/check runs each policy by its name.

usage: policy.py list | configmap | NAME
"""

import pathlib
import re
import sys
from urllib.parse import urlsplit

import yaml

HERE = pathlib.Path(__file__).parent
POLICIES = {}


def policy(function):
    POLICIES[function.__name__.replace("_", " ")] = function
    return function


def must(condition, complaint):
    if not condition:
        raise SystemExit(complaint)


def load(name):
    return yaml.safe_load((HERE / name).read_text())


def unit(name):
    """A unit's settings by key, each a list, in their order."""
    settings = {}
    for line in (HERE / "systemd" / name).read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


def configmap():
    return load("kubernetes/configmap.yaml")["data"]["sidegate.yaml"]


def pod():
    return load("kubernetes/deployment.yaml")["spec"]["template"]["spec"]


def sidecar():
    [gate] = pod()["initContainers"]
    return gate


def app():
    [one] = pod()["containers"]
    return one


def upstream(config):
    [one] = config["upstreams"].values()
    return one if isinstance(one, str) else one["url"]


def port(address):
    return int(str(address).rsplit(":", 1)[1])


def version():
    manifest = (HERE.parent / "Cargo.toml").read_text()
    return re.search(r'^version = "(.+)"$', manifest, re.MULTILINE)[1]


@policy
def every_image_has_a_tag_and_ours_is_this_version():
    images = [one["image"] for one in [sidecar(), app()]]
    compose = load("compose/prometheus/compose.yaml")
    images += [one["image"] for one in compose["services"].values()]
    for image in images:
        name, _, tag = image.rpartition("/")[2].partition(":")
        must(tag and tag != "latest", f"{image} has no tag")
        must(name != "sidegate" or tag == version(), f"{image} is not {version()}")


@policy
def the_image_holds_one_file_and_runs_as_nobody_in_particular():
    text = (HERE / "Dockerfile").read_text().replace("\\\n", " ")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)
    last = stages[-1].splitlines()
    must(last[0] == "scratch", "the last stage is not scratch")
    of = lambda word: [line for line in last if line.startswith(word + " ")]
    must(len(of("COPY")) == 1 and not of("ADD"), "there is more than the binary in it")
    must(re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", of("USER")[-1]), "the user is root, or has a name")
    must('["/sidegate", "healthcheck"]' in of("HEALTHCHECK")[0], "the health is not asked of the binary")


@policy
def no_container_of_the_pod_has_a_privilege():
    of_pod = pod()["securityContext"]
    must(of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] > 0, "a container may run as root")
    must(of_pod["seccompProfile"]["type"] == "RuntimeDefault", "system calls are not filtered")
    must(pod()["automountServiceAccountToken"] is False, "the token of the service account is mounted")
    for container in [sidecar(), app()]:
        own = container["securityContext"]
        must(own["allowPrivilegeEscalation"] is False, f"{container['name']} may gain privileges")
        must(own["capabilities"] == {"drop": ["ALL"]}, f"{container['name']} has capabilities")
        must(own["readOnlyRootFilesystem"] is True, f"{container['name']} may write to its image")


@policy
def the_gate_is_a_native_sidecar_with_three_probes_on_their_own_port():
    gate = sidecar()
    must(gate["restartPolicy"] == "Always", "it is an init container that has to end")
    paths = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    for probe, path in paths.items():
        must(gate[probe]["httpGet"] == {"path": path, "port": "probes"}, f"{probe} asks elsewhere")
    config = yaml.safe_load(configmap())
    ports = {one["name"]: one["containerPort"] for one in gate["ports"]}
    [listen] = config["listen"]
    must(ports["http"] == port(listen), "http is not the port of `listen`")
    must(ports["probes"] == port(config["probes"]["address"]), "probes is not the port of `probes`")


@policy
def the_app_of_the_pod_is_reached_through_the_gate_alone():
    config = yaml.safe_load(configmap())
    url = urlsplit(upstream(config))
    must(url.hostname == "127.0.0.1", "the app is not on loopback")
    must(f"--web.listen-address={url.netloc}" in app()["args"], "the app listens elsewhere")
    must("ports" not in app(), "the app publishes a port")
    [one] = config["upstreams"].values()
    must(one["require_private"] is True, "the gate would run before an exposed app")


@policy
def the_app_of_the_pod_stays_while_requests_still_come():
    sleep = app()["lifecycle"]["preStop"]["sleep"]["seconds"]
    must(sleep >= 5, "the app ends before everybody knows")
    drain = 30
    grace = pod()["terminationGracePeriodSeconds"]
    must(grace >= sleep + drain + 10, "the grace period is shorter than all that has to happen in it")


@policy
def the_secrets_of_the_pod_are_where_its_configuration_looks():
    mounts = {one["name"]: one for one in sidecar()["volumeMounts"]}
    must(mounts["sidegate-secrets"]["readOnly"] is True, "the secrets can be written")
    folder = mounts["sidegate-secrets"]["mountPath"]
    files = re.findall(r"file: (\S+)", configmap())
    must(files and all(file.startswith(folder + "/") for file in files), f"{files} are not in {folder}")
    volumes = {one["name"]: one for one in pod()["volumes"]}
    must(volumes["sidegate-secrets"]["secret"]["defaultMode"] == 0o440, "others can read the secrets")
    must(pod()["securityContext"]["fsGroup"] > 0, "the gate cannot read the secrets")
    name = load("kubernetes/configmap.yaml")["metadata"]["name"]
    must(volumes["sidegate-config"]["configMap"]["name"] == name, "another ConfigMap is mounted")


@policy
def the_service_leads_to_the_gate_and_never_to_probes_or_app():
    service = load("kubernetes/service.yaml")["spec"]
    labels = load("kubernetes/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    must(service["selector"] == labels, "the service selects other Pods")
    must([one["targetPort"] for one in service["ports"]] == ["http"], "another port is served")


@policy
def the_network_policy_lets_nobody_in_but_by_the_two_ports():
    rules = load("kubernetes/networkpolicy.yaml")["spec"]
    must(set(rules["policyTypes"]) == {"Ingress", "Egress"}, "a direction is open")
    labels = load("kubernetes/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    must(rules["podSelector"]["matchLabels"] == labels, "the policy is for other Pods")
    ports = []
    for rule in rules["ingress"]:
        must(rule.get("from"), "everybody may ask")
        must(all(rule["from"]), "everybody may ask")
        ports += [one["port"] for one in rule["ports"]]
    wanted = [one["containerPort"] for one in sidecar()["ports"]]
    must(sorted(ports) == sorted(wanted), f"{ports} are open, and the gate has {wanted}")


@policy
def of_the_composed_services_the_gate_alone_can_be_reached():
    compose = load("compose/prometheus/compose.yaml")
    config = load("compose/prometheus/sidegate.yaml")
    inner = urlsplit(upstream(config)).hostname
    for name, service in compose["services"].items():
        if name == "sidegate":
            [published] = service["ports"]
            must(published.startswith("127.0.0.1:"), "plain HTTP is published beyond this host")
            must(port(published) == port(config["listen"][0]), "another port is published")
        else:
            must(name == inner, f"{name} is not the upstream")
            must("ports" not in service and "network_mode" not in service, f"{name} is published")
            for network in service["networks"]:
                must(compose["networks"][network].get("internal"), f"{network} leads out")


@policy
def the_composed_gate_has_no_privilege_and_its_secrets():
    gate = load("compose/prometheus/compose.yaml")["services"]["sidegate"]
    must(re.fullmatch(r"[1-9]\d*:[1-9]\d*", gate["user"]), "it runs as root")
    must(gate["read_only"] is True and gate["cap_drop"] == ["ALL"], "it has privileges")
    must("no-new-privileges:true" in gate["security_opt"], "it may gain privileges")
    text = (HERE / "compose/prometheus/sidegate.yaml").read_text()
    wanted = {f"/run/secrets/{one}" for one in gate["secrets"]}
    must(set(re.findall(r"file: (\S+)", text)) == wanted, f"the configuration looks beside {wanted}")


@policy
def the_units_and_their_configuration_name_the_same_things():
    socket, service = unit("sidegate.socket"), unit("sidegate.service")
    lines = (HERE / "systemd/sidegate.yaml").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    [name] = socket["FileDescriptorName"]
    must(yaml.safe_load(text)["listen"] == [f"systemd:{name}"], "another socket is listened on")
    must("sidegate.socket" in service["Requires"], "the service starts without its socket")
    must(service["Type"] == ["notify"] and int(service["WatchdogSec"][0]) > 0, "nobody watches it")
    credentials = {one.split(":")[0] for one in service["LoadCredential"]}
    wanted = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\S+)", text))
    must(credentials == wanted, f"{credentials} are loaded, and {wanted} are read")
    must("78" in service["RestartPreventExitStatus"][0].split(), "a faulty configuration is restarted")


def main():
    match sys.argv[1:]:
        case ["list"]:
            print("\n".join(POLICIES))
        case ["configmap"]:
            print(configmap(), end="")
        case [name]:
            POLICIES[name]()
        case _:
            raise SystemExit(__doc__)


main()

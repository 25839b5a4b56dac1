"""What the demo's repositories contain: the shape of the founding event, in a dozen small files.

An old ``stable/liberty`` is tagged, deleted and made anew from ``stable/mitaka``; the clone has commits
and edits of every kind that such a change can meet. A history is a list of ``Change``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Edit: TypeAlias = "str | tuple[str, str]"
"""What becomes of a file: its whole new text, or a piece of the old text and what takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One commit: by whom (``Name <mail>``), when (seconds since 1970), and its edits by path."""

    author: str
    when: int
    subject: str
    edits: Mapping[str, Edit]


EXECUTABLE = frozenset({"docker/base/start.sh", "tools/cleanup-containers"})

_ADA = "Ada Builder <ada@example.org>"
_BEN = "Ben Reviewer <ben@example.org>"
YOU = ("You", "you@example.com")
_YOURSELF = "{} <{}>".format(*YOU)

_DAY = 86_400
_RELEASE = 1_444_900_000  # 15 October 2015
_WORK = _RELEASE + 110 * _DAY
REWRITE = 1_461_060_000  # 19 April 2016, ten in the morning, UTC

# --- upstream ----------------------------------------------------------------------------------------

COMMON = (
    Change(
        author=_ADA,
        when=_RELEASE,
        subject="Images and roles for a first release",
        edits={
            "README.rst": """\
Kolla, in small
===============

Containers and Ansible roles that run an OpenStack cloud.
This is the demo of resync: the files are made up.
""",
            "docker/base/Dockerfile.j2": """\
FROM {{ base_distro }}:{{ base_distro_tag }}
MAINTAINER {{ maintainer }}

LABEL kolla_version="1.0.0"

{% if base_distro == 'centos' %}
RUN yum -y install epel-release \\
    && yum clean all
{% else %}
RUN apt-get update \\
    && apt-get -y install curl sudo
{% endif %}

COPY start.sh /usr/local/bin/start
RUN chmod 755 /usr/local/bin/start
CMD ["start"]
""",
            "docker/base/start.sh": """\
#!/bin/bash
set -o errexit

CMD=$(cat /run_command)
echo Running command: $CMD
exec $CMD
""",
            "etc/kolla/globals.yml": """\
---
# Edit this file to describe your cloud.
kolla_base_distro: "centos"
kolla_install_type: "binary"
openstack_release: "1.0.0"

# The address that the services listen on inside.
kolla_internal_address: "10.10.10.254"

# The interface that carries the management traffic.
network_interface: "eth0"
neutron_external_interface: "eth1"

# What is deployed.
enable_haproxy: "yes"
enable_ceph: "no"
""",
            "etc/kolla/passwords.yml": """\
---
database_password: "password"
keystone_admin_password: "password"
rabbitmq_password: "password"
""",
            "ansible/group_vars/all.yml": """\
---
node_config_directory: "/etc/kolla"
docker_registry: "docker.io"
docker_namespace: "kollaglue"

database_port: "3306"
memcached_port: "11211"
""",
            "ansible/roles/haproxy/templates/haproxy.cfg.j2": """\
global
    daemon
    maxconn 4000

defaults
    option redispatch
    retries 3
    timeout client 1m
    timeout server 1m
""",
            "ansible/roles/memcached/templates/memcached.json.j2": """\
{
    "command": "memcached -vv -l 0.0.0.0 -p {{ memcached_port }}",
    "config_files": []
}
""",
            "ansible/roles/nova/defaults/main.yml": """\
---
project_name: "nova"
nova_workers: "1"
nova_image: "{{ docker_registry }}/{{ docker_namespace }}/nova"
nova_tag: "{{ openstack_release }}"
""",
        },
    ),
)

OLD_LIBERTY = (
    Change(
        author=_BEN,
        when=_RELEASE + 30 * _DAY,
        subject="Wait for the database before the schema is made",
        edits={"docker/base/start.sh": ("CMD=$(cat", "/usr/local/bin/wait-for-db\nCMD=$(cat")},
    ),
    Change(
        author=_ADA,
        when=_RELEASE + 61 * _DAY,
        subject="Open more connections in haproxy",
        edits={"ansible/roles/haproxy/templates/haproxy.cfg.j2": ("maxconn 4000", "maxconn 6000")},
    ),
    Change(
        author=_BEN,
        when=_RELEASE + 95 * _DAY,
        subject="Liberty is at 1.0.1",
        edits={
            "docker/base/Dockerfile.j2": ('kolla_version="1.0.0"', 'kolla_version="1.0.1"'),
            "etc/kolla/globals.yml": ('release: "1.0.0"', 'release: "1.0.1"'),
        },
    ),
)

MITAKA = (
    Change(
        author=_ADA,
        when=_RELEASE + 40 * _DAY,
        subject="Run nova with as many workers as there are processors",
        edits={
            "ansible/roles/nova/defaults/main.yml": (
                'nova_workers: "1"\n',
                'nova_workers: "{{ ansible_processor_vcpus }}"\n',
            ),
        },
    ),
    Change(
        author=_BEN,
        when=_RELEASE + 70 * _DAY,
        subject="Fetch images from a registry of our own",
        edits={
            "ansible/group_vars/all.yml": (
                'docker_registry: "docker.io"\ndocker_namespace: "kollaglue"\n',
                'docker_registry: "registry.example.org"\ndocker_namespace: "kolla"\n',
            ),
        },
    ),
    Change(
        author=_ADA,
        when=_RELEASE + 90 * _DAY,
        subject="Let haproxy wait five minutes, and write a log",
        edits={
            "ansible/roles/haproxy/templates/haproxy.cfg.j2": """\
global
    daemon
    log /dev/log local0
    maxconn 4000

defaults
    option redispatch
    retries 3
    timeout client 5m
    timeout server 5m
""",
        },
    ),
    Change(
        author=_BEN,
        when=_RELEASE + 120 * _DAY,
        subject="Quote the command that a container starts",
        edits={"docker/base/start.sh": ("echo Running command: $CMD", 'echo "Running command: $CMD"')},
    ),
    Change(
        author=_ADA,
        when=_RELEASE + 150 * _DAY,
        subject="Add a script that removes all containers",
        edits={
            "tools/cleanup-containers": """\
#!/bin/bash
# Removes every container that has a volume of Kolla's.
docker rm --force --volumes $(docker ps --all --quiet --filter label=kolla_version)
""",
        },
    ),
    Change(
        author=_BEN,
        when=_RELEASE + 170 * _DAY,
        subject="Mitaka is at 2.0.0",
        edits={
            "docker/base/Dockerfile.j2": ('kolla_version="1.0.0"', 'kolla_version="2.0.0"'),
            "etc/kolla/globals.yml": ('release: "1.0.0"', 'release: "2.0.0"'),
        },
    ),
)

_MEMCACHED: Mapping[str, Edit] = {
    "ansible/roles/memcached/templates/memcached.json.j2": ("-l 0.0.0.0", "-l {{ api_interface_address }}"),
}

NEW_LIBERTY = (
    Change(
        author=_ADA,
        when=REWRITE - 7_200,
        subject="Build liberty with mitaka's roles",
        edits={
            "docker/base/Dockerfile.j2": ('kolla_version="2.0.0"', 'kolla_version="1.1.0"'),
            "etc/kolla/globals.yml": ('release: "2.0.0"', 'release: "1.1.0"'),
        },
    ),
    Change(
        author=_YOURSELF,
        when=_WORK + _DAY,
        subject="Let memcached listen on the inner network only",
        edits=_MEMCACHED,
    ),
)

# --- the clone ---------------------------------------------------------------------------------------

YOUR_COMMITS = (
    Change(
        author=_YOURSELF,
        when=_WORK,
        subject="Install packages from our mirror",
        edits={
            "docker/base/Dockerfile.j2": (
                "COPY start.sh",
                "COPY mirror.list /etc/apt/sources.list\nCOPY start.sh",
            ),
            "docker/base/mirror.list": "deb http://mirror.example.com/ubuntu trusty main\n",
        },
    ),
    Change(
        author=_YOURSELF,
        when=_WORK + _DAY,
        subject="Let memcached listen on the inner network only",
        edits=_MEMCACHED,
    ),
    Change(
        author=_YOURSELF,
        when=_WORK + 2 * _DAY,
        subject="Let haproxy wait five minutes",
        edits={
            "ansible/roles/haproxy/templates/haproxy.cfg.j2": (
                "timeout client 1m\n    timeout server 1m",
                "timeout client 5m\n    timeout server 5m",
            ),
        },
    ),
    Change(
        author=_YOURSELF,
        when=_WORK + 3 * _DAY,
        subject="Run nova with eight workers",
        edits={"ansible/roles/nova/defaults/main.yml": ('nova_workers: "1"', 'nova_workers: "8"')},
    ),
    Change(
        author=_YOURSELF,
        when=_WORK + 4 * _DAY,
        subject="Describe our cloud",
        edits={"doc/our-cloud.rst": "Our cloud\n=========\n\nThree controllers, twelve computes, no Ceph.\n"},
    ),
)

STAGED: Mapping[str, Edit] = {
    "etc/kolla/globals.yml": ('network_interface: "eth0"', 'network_interface: "bond0"'),
}

UNSTAGED: Mapping[str, Edit] = {
    "etc/kolla/globals.yml": ('"10.10.10.254"', '"192.0.2.10"'),
    "etc/kolla/passwords.yml": ('admin_password: "password"', 'admin_password: "correct horse"'),
    "ansible/group_vars/all.yml": ('"docker.io"', '"registry.example.com:4000"'),
    # Word for word what upstream did; nothing of it is left to carry over.
    "docker/base/start.sh": ("echo Running command: $CMD", 'echo "Running command: $CMD"'),
}

UNTRACKED: Mapping[str, str] = {
    "tools/cleanup-containers": """\
#!/bin/sh
# Ours: stops all containers, and keeps them.
docker stop $(docker ps --quiet)
""",
}

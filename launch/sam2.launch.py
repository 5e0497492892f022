# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the SAM 2 node, and RViz beside it if wanted.

    ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw

`ros2 launch sam2_ros sam2.launch.py --show-args` lists the arguments.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from launch_ros.utilities import prefix_namespace

# Arguments that set the node's parameter of the same name, with its type.
PARAMETER_ARGUMENTS = {
    'bundle': str,
    'provider': str,
    'mode': str,
    'image_transport': str,
    'autostart': bool,
    'use_sim_time': bool,
}
BOOLEAN = ['true', 'false']


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node, and RViz under the condition `use_rviz`."""
    share = FindPackageShare('sam2_ros')
    return LaunchDescription([
        DeclareLaunchArgument(
            'bundle', default_value='',
            description='Folder of the exported model (sam2-ros export). Empty: the one that'
                        ' params_file names, else the small one that comes with the package.'),
        DeclareLaunchArgument(
            'provider', default_value='',
            choices=['', 'auto', 'cpu', 'cuda', 'tensorrt', 'openvino'],
            description='ONNX Runtime execution provider. Empty: what params_file says.'),
        DeclareLaunchArgument(
            'mode', default_value='', choices=['', 'auto', 'track', 'prompt'],
            description='track: objects are tracked from image to image. prompt: each prompt is'
                        ' answered on its image. auto: track where the bundle can. Empty: what'
                        ' params_file says.'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([share, 'config', 'sam2.yaml']),
            description='Parameter file of the node; parameters given as arguments come before'
                        ' it.'),
        DeclareLaunchArgument(
            'image', default_value='image',
            description='Topic of the camera images (without /compressed).'),
        DeclareLaunchArgument(
            'image_transport', default_value='', choices=['', 'raw', 'compressed'],
            description='raw: subscribe to the image topic itself. compressed: to the topic'
                        ' compressed below it. Empty: what params_file says.'),
        DeclareLaunchArgument(
            'camera_info', default_value='',
            description='Topic of the calibration, needed for clicks in 3D. Empty: camera_info'
                        ' beside the image.'),
        DeclareLaunchArgument(
            'image_mouse_left', default_value='',
            description='Topic of the clicks in rqt_image_view (geometry_msgs/Point). Empty: the'
                        ' image topic with _mouse_left behind it, as rqt_image_view does.'),
        DeclareLaunchArgument(
            'clicked_point', default_value='clicked_point',
            description='Topic of the clicks in RViz (Publish Point).'),
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node and of all relative topics.'),
        DeclareLaunchArgument(
            'node_name', default_value='sam2',
            description='Name of the node; its results are the topics below it.'),
        DeclareLaunchArgument(
            'autostart', default_value='', choices=['', *BOOLEAN],
            description='Configure and activate the node at start; false: a lifecycle manager'
                        ' does it. Empty: what params_file says.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=BOOLEAN,
            description='Take the time from /clock (simulation, bag).'),
        DeclareLaunchArgument(
            'use_respawn', default_value='false', choices=BOOLEAN,
            description='Start the node again 2 s after it ended.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity of the log messages of the node that are shown.'),
        DeclareLaunchArgument(
            'use_rviz', default_value='false', choices=BOOLEAN,
            description='Start RViz too (sam2_rviz.launch.py has its arguments).'),
        OpaqueFunction(function=_start_node),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(
                PathJoinSubstitution([share, 'launch', 'sam2_rviz.launch.py'])),
            launch_arguments=[
                (name, LaunchConfiguration(name))
                for name in ('image', 'clicked_point', 'namespace', 'node_name', 'use_sim_time')
            ],
            condition=IfCondition(LaunchConfiguration('use_rviz'))),
    ])


def _start_node(context: LaunchContext) -> list[Action]:
    """
    Return the node; a function, as what an empty argument means can only be said in one.

    :raises RuntimeError: the parameter file does not exist; ROS would only warn and go on.
    """
    value = context.launch_configurations
    params_file = Path(value['params_file']).expanduser()
    if not params_file.is_file():
        raise RuntimeError(f'params_file: there is no file {params_file}')
    return [
        Node(
            package='sam2_ros',
            executable='sam2_node',
            name=value['node_name'],
            namespace=value['namespace'],
            parameters=[str(params_file), _parameters(value)],
            remappings=_remappings(value),
            ros_arguments=['--log-level', f'{_logger(value)}:={value["log_level"]}'],
            output='screen',
            emulate_tty=True,
            respawn=value['use_respawn'] == 'true',
            respawn_delay=2.0),
    ]


def _logger(value: dict[str, str]) -> str:
    """Return the name of the node's logger: the level of all loggers would be that of DDS too."""
    pushed = value.get('ros_namespace')  # by a launch file that includes this one
    namespace = prefix_namespace(pushed, value['namespace']) or ''
    return f'{namespace}/{value["node_name"]}'.strip('/').replace('/', '.')


def _parameters(value: dict[str, str]) -> dict[str, ParameterValue]:
    """Return the parameters that were given as arguments: they come before the file's."""
    return {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETER_ARGUMENTS.items() if value[name]
    }


def _remappings(value: dict[str, str]) -> list[tuple[str, str]]:
    """Return from which to which name each topic that the node subscribes to is remapped."""
    image = value['image']
    # PurePosixPath and not a substring: the sibling of the bare `image` is the bare `camera_info`
    camera_info = value['camera_info'] or str(PurePosixPath(image).with_name('camera_info'))
    return [
        ('image', image),
        ('camera_info', camera_info),
        ('image_mouse_left', value['image_mouse_left'] or f'{image}_mouse_left'),
        ('clicked_point', value['clicked_point']),
    ]

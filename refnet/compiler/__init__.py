"""The main job: compile a network into integer programs and say what they cost."""

from refnet.compiler.pipeline import Job as Job
from refnet.compiler.pipeline import float_network as float_network
from refnet.compiler.pipeline import run_job as run_job
from refnet.compiler.recipe import NETWORKS as NETWORKS
from refnet.compiler.recipe import Recipe as Recipe
from refnet.compiler.recipe import Stage as Stage
from refnet.compiler.recipe import recipe_for as recipe_for
from refnet.compiler.result import ActivationView as ActivationView
from refnet.compiler.result import Agreement as Agreement
from refnet.compiler.result import CompileResult as CompileResult
from refnet.compiler.result import MethodResult as MethodResult

{{- define "kontiki.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "kontiki.server" -}}{{ include "kontiki.name" . }}-server{{- end }}
{{- define "kontiki.headless" -}}{{ include "kontiki.name" . }}-replicas{{- end }}
{{- define "kontiki.worker" -}}{{ include "kontiki.name" . }}-worker{{- end }}
{{- define "kontiki.client" -}}{{ include "kontiki.name" . }}-client{{- end }}

{{- /* Where clients and workers find replicas that are ready. */ -}}
{{- define "kontiki.address" -}}{{ include "kontiki.server" . }}.{{ .Release.Namespace }}.svc:4728{{- end }}

{{- /* What a component's pods are known by. Called with (dict "root" $ "component" "server"). */ -}}
{{- define "kontiki.selector" -}}
app.kubernetes.io/name: kontiki
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "kontiki.labels" -}}
{{ include "kontiki.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "kontiki.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The Secret with the certificate of a role: server, worker or client. */ -}}
{{- define "kontiki.certificate" -}}
{{- if eq .root.Values.tls.mode "secrets" -}}
{{ index .root.Values.tls.secrets .role }}
{{- else -}}
{{ include "kontiki.name" .root }}-{{ .role }}-tls
{{- end }}
{{- end }}

{{- define "kontiki.issuer" -}}
{{- if .Values.tls.certManager.issuerRef.name -}}
{{ toYaml .Values.tls.certManager.issuerRef }}
{{- else -}}
name: {{ include "kontiki.name" . }}-ca
kind: Issuer
group: cert-manager.io
{{- end }}
{{- end }}

{{- /* Settings of a map as TOML: JSON's scalars and lists are TOML's, too. */ -}}
{{- define "kontiki.settings" -}}
{{- range $key, $value := . }}
{{- if kindIs "map" $value }}
{{- $pairs := list }}
{{- range $name, $inner := $value }}
{{- $pairs = append $pairs (printf "%s = %s" ($name | toJson) ($inner | toJson)) }}
{{- end }}
{{ $key }} = { {{ join ", " $pairs }} }
{{- else }}
{{ $key }} = {{ $value | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kontiki.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kontiki.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What all pods have in common. Called with (dict "root" $ "component" "server" "values" .Values.server). */ -}}
{{- define "kontiki.pod" -}}
serviceAccountName: {{ include "kontiki.name" .root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "kontiki.podSecurity" . | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- $spread := list }}
{{- range $where, $key := dict "zones" "topology.kubernetes.io/zone" "nodes" "kubernetes.io/hostname" }}
{{- $how := index $.values.spread $where }}
{{- if ne $how "off" }}
{{- $spread = append $spread (dict "key" $key "how" (ternary "DoNotSchedule" "ScheduleAnyway" (eq $how "hard"))) }}
{{- end }}
{{- end }}
{{- with $spread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .key }}
    maxSkew: 1
    whenUnsatisfiable: {{ .how }}
    labelSelector:
      matchLabels: {{- include "kontiki.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Changes when a pod must be made anew: not for the number of replicas, which counts for the very first start alone. */ -}}
{{- define "kontiki.annotations" -}}
checksum/config: {{ include (printf "kontiki.%s.toml" .component) .root | regexReplaceAll "(?m)^replicas = .*$" "" | sha256sum }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Asked by the kubelet, which has no certificate; liveness needs no leader. */ -}}
{{- define "kontiki.probes" -}}
startupProbe:
  grpc: {port: 4729, service: liveness}
  periodSeconds: 2
  failureThreshold: 300
livenessProbe:
  grpc: {port: 4729, service: liveness}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  grpc: {port: 4729, service: readiness}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 3
{{- end }}

{{- define "kontiki.server.toml" -}}
[server]
listen = "0.0.0.0:4728"
health-listen = "0.0.0.0:4729"
metrics-listen = "0.0.0.0:9464"
data-dir = "/var/lib/kontiki/replica"
replicas = {{ .Values.server.replicas }}
peers = ["{{ include "kontiki.headless" . }}.{{ .Release.Namespace }}.svc:4728"]
grace = "{{ .Values.server.graceSeconds }}s"
{{- if eq .Values.tls.mode "none" }}
insecure = true
{{- end }}
{{- if .Values.server.accessPolicy.secretName }}
access-policy = "/etc/kontiki/access/access.toml"
{{- end }}
{{- include "kontiki.settings" .Values.server.settings }}
{{ include "kontiki.client.toml" . }}
{{- end }}

{{- define "kontiki.worker.toml" -}}
[worker]
servers = ["{{ include "kontiki.address" . }}"]
slots = {{ .Values.worker.slots }}
cache-dir = "/var/cache/kontiki"
cache-size = "{{ .Values.worker.cacheSize | replace "Mi" "MiB" | replace "Gi" "GiB" }}"
profiles-dir = "/etc/kontiki/profiles"
health-listen = "0.0.0.0:4729"
metrics-listen = "0.0.0.0:9464"
grace = "{{ .Values.worker.graceSeconds }}s"
{{- include "kontiki.settings" (dict "labels" .Values.worker.labels) }}
{{- include "kontiki.settings" .Values.worker.settings }}
{{ include "kontiki.client.toml" . }}
{{- end }}

{{- /* What every process has to know. */ -}}
{{- define "kontiki.client.toml" }}
[log]
level = "{{ .Values.log.level }}"
format = "{{ .Values.log.format }}"
{{- if ne .Values.tls.mode "none" }}

[tls]
ca = "/etc/kontiki/tls/ca.crt"
cert = "/etc/kontiki/tls/tls.crt"
key = "/etc/kontiki/tls/tls.key"
{{- end }}
{{- end }}

{{- /* Refuses what the schema cannot see. */ -}}
{{- define "kontiki.check" -}}
{{- if and (eq .Values.tls.mode "none") (not .Values.tls.allowInsecure) }}
{{- fail "tls.mode is none: whoever reaches the pods could do everything with them. Say tls.allowInsecure=true as well where that is meant" }}
{{- end }}
{{- if and (eq .Values.tls.mode "none") .Values.server.accessPolicy.secretName }}
{{- fail "server.accessPolicy needs TLS: with tls.mode=none nobody is known" }}
{{- end }}
{{- if eq .Values.tls.mode "secrets" }}
{{- range $role, $name := .Values.tls.secrets }}
{{- if not $name }}{{ fail (printf "tls.mode is secrets, but tls.secrets.%s names none" $role) }}{{ end }}
{{- end }}
{{- end }}
{{- with .Values.worker.autoscaling }}
{{- if gt (int .min) (int .max) }}{{ fail "worker.autoscaling.min is beyond worker.autoscaling.max" }}{{ end }}
{{- if and (eq .kind "cpu") (lt (int .min) 1) }}{{ fail "worker.autoscaling.kind is cpu, which cannot start the first worker: min must be at least 1" }}{{ end }}
{{- end }}
{{- end }}
